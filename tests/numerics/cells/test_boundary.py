"""The decision boundary: exact on closed forms, consistent with argmax everywhere."""

import numpy as np
import pytest

from unbend.errors import ShapeError
from unbend.numerics.cells import Plane, cells
from unbend.numerics.cells.boundary import boundary
from unbend.numerics.piecewise import network


def inside(points, polygons):
    """Which convex polygon (list of corners) each point lies in."""
    out = np.full(len(points), -1)
    for index, corners in enumerate(polygons):
        side = np.roll(corners, -1, axis=0) - corners
        gap = points[:, None] - corners
        left = side[:, 0] * gap[:, :, 1] - side[:, 1] * gap[:, :, 0]
        out[(left >= -1e-12).all(axis=1)] = index
    return out


def test_a_diamond(square):
    """f = 1/2 - |x| - |y| is positive in a diamond of area 1/2 with boundary length 4 sqrt(1/2)."""
    net = network([np.array([[1.0, 0], [-1, 0], [0, 1], [0, -1]])], [np.zeros(4)], -np.ones((1, 4)), np.array([0.5]))
    edge = boundary(cells(net, square))
    assert edge.class_areas == pytest.approx([3.5, 0.5], abs=1e-14)
    assert edge.length == pytest.approx(4 * np.sqrt(0.5), abs=1e-13)
    assert len(edge.polylines) == 1
    assert len(edge.polylines[0]) == 5
    assert sorted(edge.hinges.tolist()) == [0, 1, 2, 3] or len(edge.hinges) == 2
    assert edge.distance(np.array([[0.0, 0.0], [1.0, 1.0]])) == pytest.approx([np.sqrt(1 / 8), 1.5 / np.sqrt(2)])


def test_three_classes_meet_in_a_point(square):
    net = network([], [], np.array([[1.0, 0.0], [-0.5, 1.0], [-0.5, -1.0]]), np.zeros(3))
    edge = boundary(cells(net, square))
    assert edge.class_areas.sum() == pytest.approx(4.0, abs=1e-14)
    assert {tuple(pair) for pair in edge.pairs.tolist()} == {(0, 1), (0, 2), (1, 2)}
    assert len(edge.polylines) == 3
    assert edge.distance(np.zeros((1, 2)))[0] == pytest.approx(0.0, abs=1e-15)


@pytest.mark.parametrize("k", [1, 2, 5])
def test_classes_are_those_of_argmax(make_mlp, square, k):
    net = make_mlp([24, 24], seed=4, k=k)
    scale = 30.0 if k == 1 else 1.0
    plane = Plane.box((-scale, -scale), (scale, scale))
    found = cells(net, plane)
    edge = boundary(found)
    assert edge.class_areas.sum() == pytest.approx(plane.area, rel=1e-12)
    points = np.random.default_rng(0).uniform(-scale, scale, (400, 2))
    values = net(points)
    truth = (values[:, 0] > 0).astype(int) if k == 1 else values.argmax(axis=1)
    face = found.locate(points)
    told = edge.face_class[face].copy()
    parts = [edge.part_points[a:b] for a, b in zip(edge.part_ptr, edge.part_ptr[1:], strict=False)]
    mixed = told < 0
    told[mixed] = edge.part_class[inside(points[mixed], parts)]
    assert (told == truth).all()
    share = np.bincount(truth, minlength=len(edge.class_areas)) / len(truth)
    assert np.abs(share - edge.class_areas / plane.area).max() < 0.1
    middle = edge.segments.mean(axis=1)
    if len(middle):
        both = np.sort(np.concatenate([np.zeros((len(middle), 1)), net(middle)], axis=1) if k == 1 else net(middle))
        assert np.abs(both[:, -1] - both[:, -2]).max() < 1e-10


def test_ties_go_to_the_lower_class(square):
    net = network([], [], np.zeros((3, 2)), np.array([0.0, 1.0, 1.0]))
    edge = boundary(cells(net, square))
    assert edge.class_areas.tolist() == [0.0, 4.0, 0.0]
    assert not len(edge.segments)
    assert np.isinf(edge.distance(np.zeros((1, 2)))).all()


def test_a_cut_network_has_no_boundary(make_mlp, square):
    with pytest.raises(ShapeError, match="at least one output"):
        boundary(cells(make_mlp([4, 4]).first_stages(1), square))
