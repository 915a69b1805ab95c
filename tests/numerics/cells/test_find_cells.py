"""Counts and geometry: degenerate networks, formulas, brute force, exact arithmetic, the limit."""

from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch import nn

from unbend.capture.lower import lower
from unbend.errors import DataError, ShapeError, TiesError
from unbend.numerics.cells import Plane, cells, count_cells, engines, tiles
from unbend.numerics.cells.bounds import zaslavsky
from unbend.numerics.cells.certificate import certify
from unbend.numerics.cells.exact import exact_bits, exact_mesh, homogeneous
from unbend.numerics.cells.tiles import cut_tiles
from unbend.numerics.piecewise import network

SQUARE = Plane.box((-1.0, -1.0), (1.0, 1.0))


def assert_whole(found):
    """A planar subdivision of the polygon on which the network is as told."""
    assert len(found.vertices) - len(found.edges) + found.n_faces == 1
    areas = found.areas()
    assert (areas > 0).all() or found.is_proved
    assert areas.sum() == pytest.approx(found.plane.area, rel=1e-13)
    walked = np.sort(found.half_edges)
    assert (np.diff(walked) > 0).all()
    inner = found.hinges >= 0
    assert (found.sides[inner] >= 0).all()
    assert ((found.sides[~inner] >= 0).sum(axis=1) == 1).all()


def assert_affine(found):
    """f(x) = A x + b at every vertex of every face, to float64 accuracy."""
    face = np.repeat(np.arange(found.n_faces), np.diff(found.face_ptr))
    weight, bias = found.affine()
    x = found.vertices[found.corner_ids]
    told = np.einsum("nkd,nd->nk", weight[face], x) + bias[face]
    value = found.outputs()[found.corner_ids]
    scale = 1 + np.abs(weight).sum(axis=2).max() + np.abs(bias).max()
    assert np.abs(told - value).max() <= 1e-12 * scale


def test_degenerate_networks_are_right_and_proved(degenerate, square):
    net, n = degenerate
    found = cells(net, square)
    assert found.n_faces == n
    assert cells(net, square, exact=True).n_faces == n
    assert count_cells(net, square) == n
    assert certify(found).is_proved
    assert_whole(found)
    assert_affine(found)


@pytest.mark.parametrize(
    ("widths", "n", "vertices", "edges"),
    [([32] * 2, 795, 855, 1649), ([64] * 3, 6668, 6832, 13499), ([16] * 20, 183, 220, 402)],
)
def test_the_seeded_networks_of_the_peers(square, widths, n, vertices, edges):
    torch.manual_seed(0)
    layers = []
    for n_in, n_out in zip([2, *widths], widths, strict=False):
        layers += [nn.Linear(n_in, n_out), nn.ReLU()]
    net = lower(nn.Sequential(*layers, nn.Linear(widths[-1], 1)), (2,))
    found = cells(net, square)
    assert (found.n_faces, len(found.vertices), len(found.edges)) == (n, vertices, edges)
    assert count_cells(net, square) == n
    assert not found.is_proved
    assert_whole(found)
    assert_affine(found)


@pytest.fixture
def small_tiles(monkeypatch):
    monkeypatch.setattr("unbend.numerics.cells.tiles._LEAF", 60)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("widths", [[70, 70, 70], [90, 40], [220]])
def test_tiles_give_the_same_mesh(make_mlp, square, small_tiles, widths, threads):
    net = make_mlp(widths)
    run = cut_tiles(net, square.corners, 10**6, threads=threads, count_only=False)
    other = cut_tiles(net, square.corners, 10**6, threads=threads, count_only=False, cut_at=0.37)
    counted = cut_tiles(net, square.corners, 10**6, threads=threads, count_only=True)
    assert run is not None
    assert other is not None
    assert counted is not None
    assert run.n_faces == other.n_faces == counted.n_faces
    shape = [len(part) for part in run.mesh]
    assert shape == [len(part) for part in other.mesh]
    found = cells(net, square)
    assert [len(found.vertices), len(found.edges), found.n_faces] == [shape[0], shape[1], run.n_faces]
    assert_whole(found)
    assert certify(found, rational=False).is_proved


def test_the_number_of_threads_changes_nothing(make_mlp, square, small_tiles):
    net = make_mlp([90, 60])
    one, two = (cut_tiles(net, square.corners, 10**6, threads=threads, count_only=False) for threads in (1, 2))
    assert one is not None
    assert two is not None
    assert all(np.array_equal(a, b) for a, b in zip(one.mesh, two.mesh, strict=True))


def test_twins_are_found_before_exact_arithmetic(make_mlp, square):
    """Twice the units and a dead one: the same cells, without a single exact decision."""
    single = make_mlp([12, 12])
    first, second = (stage.weight.csr().toarray() for stage in single.stages)
    head = single.output.csr().toarray()
    copies = np.r_[np.arange(12), np.arange(12)]
    net = network(
        [np.vstack([first[copies, 1:], np.zeros((1, 2))]), np.c_[second[:, 3 + copies] / 2, np.ones(12)]],
        [np.r_[first[copies, 0], 0.0], second[:, 0]],
        head[:, 15:],
        head[:, 0],
    )
    found, simple = cells(net, square), cells(single, square)
    assert not found.is_proved
    assert (found.n_faces, len(found.edges)) == (simple.n_faces, len(simple.edges))
    assert set(found.hinges[found.hinges >= 0].tolist()) <= {*range(12), *range(25, 37)}
    assert count_cells(net, square) == found.n_faces
    assert_whole(found)
    assert_affine(found)


def test_tiles_with_ties_are_exact(make_mlp, square, small_tiles):
    """A wide network with proportional units: the tiles that the fast kernel refuses are done in integers."""
    rng = np.random.default_rng(3)
    w, b = rng.standard_normal((70, 2)), rng.standard_normal(70) * 2
    net = network([np.vstack([w, 2 * w, -w])], [np.concatenate([b, 2 * b, -b])], np.ones((1, 210)), np.zeros(1))
    single = network([w], [b], np.ones((1, 70)), np.zeros(1))
    found = cells(net, square)
    assert found.n_faces == cells(single, square).n_faces == count_cells(net, square)
    assert_whole(found)


def test_more_ties_than_exact_arithmetic_may_settle_are_said(make_mlp, square, small_tiles, monkeypatch):
    """The same network is given up after a few exact faces, in one sentence that says what to do."""
    rng = np.random.default_rng(3)
    w, b = rng.standard_normal((70, 2)), rng.standard_normal(70) * 2
    net = network([np.vstack([w, 2 * w, -w])], [np.concatenate([b, 2 * b, -b])], np.ones((1, 210)), np.zeros(1))
    monkeypatch.setattr(tiles, "MOST_EXACT", 3)
    monkeypatch.setattr(engines, "MOST_EXACT", 3)
    with pytest.raises(TiesError, match="coincide within rounding"):
        cells(net, square)
    with pytest.raises(TiesError, match=r"plane\.jitter\(\)"):
        count_cells(net, square)


def test_one_layer_is_zaslavsky():
    rng = np.random.default_rng(0)
    net = network([rng.standard_normal((40, 2))], [rng.standard_normal(40)], np.ones((1, 40)), np.zeros(1))
    wide = Plane.box((-1e4, -1e4), (1e4, 1e4))
    assert cells(net, wide).n_faces == count_cells(net, wide) == zaslavsky(40, 2) == 821


def true_bits(net, points):
    """Which hinges are on: in float64 where its rounding cannot matter, else in rational numbers."""
    bits = net.bits(points)
    for row in np.flatnonzero(net.ties(points, 1e-12).any(axis=1)):
        bits[row] = exact_bits(net, homogeneous(*points[row].tolist()))
    return bits


@settings(max_examples=40, deadline=None)
@example(3, 3, 2, -1.0)  # a hinge that is exactly 0 all over a cell
@given(st.integers(1, 4), st.integers(1, 4), st.integers(0, 2**31), st.sampled_from([0.0, 0.5, -1.0, 2.0]))
def test_small_integer_networks_agree_with_brute_force(first, second, seed, slope):
    rng = np.random.default_rng(seed)
    shapes = [(first, 2), (second, first), (1, second)]
    weights = [rng.integers(-2, 3, shape).astype(float) for shape in shapes]
    biases = [rng.integers(-2, 3, len(w)) / 2 for w in weights]
    net = network(weights[:-1], biases[:-1], weights[-1], biases[-1], slope=slope)
    found = cells(net, SQUARE)
    exact = exact_mesh(net, SQUARE.corners, -1 - np.arange(4))
    assert exact is not None
    assert found.n_faces == len(exact.bits)
    assert sum(exact.areas()) == Fraction(4)
    assert all(area > 0 for area in exact.areas())
    seen = np.unique(true_bits(net, rng.uniform(-1, 1, (4000, 2))), axis=0)
    known = {row.tobytes() for row in found.bits()}
    assert {row.tobytes() for row in seen} <= known
    assert len(known) == found.n_faces
    assert_whole(found)
    assert_affine(found)


def test_a_triangle_and_a_general_polygon(make_mlp):
    net = make_mlp([12, 12])
    corners = np.array([[-1.0, -0.5], [1.0, -1.0], [0.5, 0.8], [-0.6, 0.9]])
    plane = Plane(np.zeros(2), np.array([1.0, 0.0]), np.array([0.0, 1.0]), corners)
    found = cells(net, plane)
    assert_whole(found)
    assert cells(net, plane, exact=True).n_faces == found.n_faces


def test_a_plane_through_three_points_in_many_dimensions(make_mlp):
    net = make_mlp([40, 40], d=30, k=3)
    rng = np.random.default_rng(1)
    plane = Plane.through(*rng.standard_normal((3, 30)))
    found = cells(net, plane)
    assert_whole(found)
    assert_affine(found)
    flat = rng.uniform(*plane.corners[[0, 2]], (50, 2))
    assert np.allclose(net(plane.lift(flat)), found.network(flat), atol=1e-12)
    back, gap = plane.project(plane.lift(flat))
    assert np.allclose(back, flat)
    assert gap.max() < 1e-12


def test_the_limit_stops_cleanly_and_says_so(make_mlp, square):
    net = make_mlp([30, 30, 30])
    whole = cells(net, square)
    part = cells(net, square, max_cells=whole.n_faces - 1)
    assert whole.is_complete
    assert not part.is_complete
    assert part.n_faces <= whole.n_faces - 1
    assert len(part.network.stages) == 2
    assert_whole(part)
    none = cells(net, square, max_cells=1)
    assert (none.n_faces, none.is_complete) == (1, False)
    wide = make_mlp([100, 100, 100])
    part = cells(wide, square, max_cells=1000)
    assert not part.is_complete
    assert part.n_faces <= 1000
    assert_whole(part)


def test_what_is_wrong_is_said(make_mlp, square):
    net = make_mlp([4])
    with pytest.raises(ShapeError, match="expected points of 3 numbers"):
        cells(make_mlp([4], d=3), square)
    with pytest.raises(DataError, match="max_cells"):
        cells(net, square, max_cells=0)
    with pytest.raises(DataError, match="general position"):
        Plane.through(np.zeros(3), np.ones(3), 2 * np.ones(3))
    with pytest.raises(ShapeError, match="convex"):
        Plane(np.zeros(2), np.array([1.0, 0]), np.array([0, 1.0]), square.corners[::-1].copy())
    broken = network([np.full((2, 2), np.nan)], [np.zeros(2)], np.ones((1, 2)), np.zeros(1))
    with pytest.raises(DataError, match="finite weights"):
        cells(broken, square)


@pytest.mark.usefixtures("unchecked")
def test_points_and_directions_are_of_one_space():
    for make, points in ((Plane.through, (np.zeros(3), np.ones(2), np.ones(3))), (Plane.at, (np.zeros(3), *np.eye(2)))):
        with pytest.raises(ShapeError, match=r"points and directions of one space, got \[3, 2, [23]\] numbers"):
            make(*points)


def test_a_network_without_kinks_is_one_cell(square):
    found = cells(network([], [], np.eye(2), np.zeros(2)), square)
    assert (found.n_faces, found.is_complete) == (1, True)
    assert_affine(found)


def test_candidates_equal_but_for_rounding_are_one():
    """Of four candidates two are the same function: the cells are those of three candidates."""
    torch.manual_seed(0)
    n = 70
    three = nn.Linear(2, 3 * n).double()
    four = nn.Linear(2, 4 * n).double()
    head = nn.Sequential(nn.ReLU(), nn.Linear(n, 8), nn.ReLU(), nn.Linear(8, 2)).double()
    with torch.no_grad():
        weight, bias = three.weight.view(n, 3, 2), three.bias.view(n, 3)
        four.weight.copy_(torch.cat([weight, weight[:, 1:2]], 1).reshape(-1, 2))
        four.bias.copy_(torch.cat([bias, bias[:, 1:2]], 1).reshape(-1))
    shrunk = Plane.box((-0.2, -0.2), (0.2, 0.2))
    nets = [
        lower(nn.Sequential(first, nn.Unflatten(1, (1, -1)), nn.MaxPool1d(k), nn.Flatten(), head), (2,))
        for first, k in ((four, 4), (three, 3))
    ]
    found, simple = (cells(net, shrunk) for net in nets)
    assert [count_cells(net, shrunk) for net in nets] == [found.n_faces, simple.n_faces]
    shape = (len(simple.vertices), len(simple.edges), simple.n_faces)
    assert (len(found.vertices), len(found.edges), found.n_faces) == shape
    assert_whole(found)
    assert_affine(found)
