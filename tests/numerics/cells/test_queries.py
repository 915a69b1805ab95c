"""Questions to `Cells`: where a point lies, neighbours, units at an edge, linear pieces."""

import numpy as np
import pytest

from unbend.numerics.cells import cells
from unbend.numerics.piecewise import network


def test_locate_finds_the_face_with_the_points_pattern(make_mlp, square):
    found = cells(make_mlp([20, 20], k=2), square)
    points = np.random.default_rng(0).uniform(-1, 1, (500, 2))
    face = found.locate(points)
    assert (face >= 0).all()
    assert (found.bits(face) == found.network.bits(points)).all()
    weight, bias = found.affine(face)
    assert np.allclose(np.einsum("nkd,nd->nk", weight, points) + bias, found.network(points), atol=1e-12)
    assert (found.locate(np.array([[1.5, 0.0], [np.nan, 0.0]])) == -1).all()
    assert (found.locate(found.centres()) == np.arange(found.n_faces)).all()


def test_neighbours_differ_in_the_hinge_of_their_edge(make_mlp, square):
    found = cells(make_mlp([20, 20]), square)
    bits = found.bits()
    inner = np.flatnonzero(found.hinges >= 0)
    differ = bits[found.sides[inner, 0]] != bits[found.sides[inner, 1]]
    assert (differ.sum(axis=1) == 1).all()
    assert (differ.argmax(axis=1) == found.hinges[inner]).all()
    pairs = {frozenset(pair) for pair in found.adjacency().tolist()}
    around = {frozenset((face, other)) for face in range(found.n_faces) for other in found.neighbours(face).tolist()}
    assert pairs == around


def test_all_units_of_coinciding_kinks_are_named(square):
    net = network([np.array([[1.0, 0.0], [2.0, 0.0], [0.0, 1.0]])], [np.zeros(3)], np.ones((1, 3)), np.zeros(1))
    found = cells(net, square)
    assert found.n_faces == 4
    vertical = np.flatnonzero(found.hinges == 0)
    assert len(vertical)
    assert all(found.units_at(int(edge)) == (("0", 0), ("0", 1)) for edge in vertical)
    assert found.units_at(int(np.flatnonzero(found.hinges < 0)[0])) == ()


def test_linear_pieces_unite_cells_that_f_does_not_tell_apart(square):
    """The second unit is dead downstream: four activation regions, two linear regions."""
    net = network([np.eye(2)], [np.zeros(2)], np.array([[1.0, 0.0]]), np.zeros(1))
    found = cells(net, square)
    assert found.n_faces == 4
    pieces = found.pieces()
    assert len(np.unique(pieces)) == 2
    assert pieces[found.locate(np.array([[0.5, 0.5]]))] == pieces[found.locate(np.array([[0.5, -0.5]]))]


def test_the_rule_for_a_hinge_that_is_zero_everywhere(square):
    net = network([np.array([[0.0, 0.0], [1.0, 0.0]])], [np.zeros(2)], np.ones((1, 2)), np.zeros(1))
    found = cells(net, square)
    assert found.n_faces == 2
    assert not found.bits()[:, 0].any()


@pytest.mark.parametrize("exact", [False, True])
def test_states_and_bits_agree(make_mlp, square, exact):
    found = cells(make_mlp([10, 6]), square, exact=exact)
    assert (found.states() == found.bits()).all()
    assert found.is_proved == exact
    assert len(found.hinge_names()) == 16
    assert found.hinge_names()[10] == "1[0]"
