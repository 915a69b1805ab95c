"""Slices, bounds, estimates."""

import numpy as np
import pytest

from unbend.errors import DataError, ShapeError
from unbend.numerics.cells.bounds import (
    montufar_lower,
    montufar_upper,
    pascanu_lower,
    region_bounds,
    serra_lower,
    serra_upper,
    zaslavsky_bounded,
)
from unbend.numerics.cells.sampling import cells_on_planes, kinks_per_length, patterns_in_box
from unbend.numerics.cells.slice_1d import slice_1d
from unbend.numerics.piecewise import network


def sawtooth(k):
    """Telgarsky's tent, 2 relu(x) - 4 relu(x - 1/2), composed k times."""
    first, fold = np.array([[1.0], [1.0]]), np.array([[2.0, -4.0]])
    weights = [first, *[first @ fold] * (k - 1)]
    return network(weights, [np.array([0.0, -0.5])] * k, fold, np.zeros(1))


@pytest.mark.parametrize("k", [1, 2, 5, 10, 16])
def test_telgarskys_sawtooth_has_two_to_the_k_pieces(k):
    found = slice_1d(sawtooth(k), np.zeros(1), np.ones(1))
    assert found.n_pieces == found.n_cells == 2**k
    assert (found.t == np.linspace(0, 1, 2**k + 1)).all()
    assert (np.abs(found.slopes) == 2.0**k).all()
    assert (found.values[:, 0] == np.arange(2**k + 1) % 2).all()


def test_a_slice_is_the_network(make_mlp):
    net = make_mlp([30, 30, 30], d=7, k=3)
    rng = np.random.default_rng(2)
    start, end = rng.standard_normal((2, 7)) * 5
    found = slice_1d(net, start, end)
    t = rng.uniform(0, 1, 300)
    x = start + t[:, None] * (end - start)
    told = np.stack([np.interp(t, found.t, found.values[:, k]) for k in range(3)], axis=1)
    assert np.abs(told - net(x)).max() < 1e-11
    middle = 0.5 * (found.t[1:] + found.t[:-1])
    bits = net.bits(start + middle[:, None] * (end - start))
    differ = bits[1:] != bits[:-1]
    assert (differ.sum(axis=1) == 1).all()
    assert (differ.argmax(axis=1) == found.hinges).all()


def test_pieces_and_cells_differ_where_f_does_not_bend():
    net = network([np.array([[1.0], [1.0]])], [np.array([-0.3, -0.6])], np.array([[1.0, 0.0]]), np.zeros(1))
    found = slice_1d(net, np.zeros(1), np.ones(1))
    assert (found.n_cells, found.n_pieces) == (3, 2)


def test_bad_ends_of_a_slice(make_mlp):
    with pytest.raises(ShapeError, match="points of 2 numbers"):
        slice_1d(make_mlp([3]), np.zeros(3), np.ones(3))
    with pytest.raises(DataError, match="two different"):
        slice_1d(make_mlp([3]), np.zeros(2), np.zeros(2))


def test_formulas_of_the_field():
    assert montufar_lower(2, (32, 32)) == 135_424
    assert serra_lower(2, (32, 32)) == 152_881
    assert serra_upper(2, (32, 32)) == montufar_upper(2, (32, 32)) == 279_841
    assert region_bounds(2, (64, 64, 64)).serra_upper == 9_011_897_441
    assert serra_lower(2, (64, 64, 64)) == 2_467_901_601
    assert serra_upper(1, (3, 3, 3)) == 64
    assert (serra_upper(2, (3, 3)), montufar_upper(2, (3, 3))) == (40, 49)
    assert serra_lower(2, (4, 4)) is None
    assert pascanu_lower(2, (4, 4)) == 22
    assert zaslavsky_bounded(5, 2) == 6
    with pytest.raises(ShapeError, match="positive"):
        serra_upper(2, ())


def test_measured_counts_stay_below_the_bounds(make_mlp, square):
    from unbend.numerics.cells import cells

    for widths in ((4, 4), (6, 5, 4), (3, 3, 3, 3)):
        assert cells(make_mlp(list(widths)), square).n_faces <= serra_upper(2, widths)


def test_estimates_meet_the_truth(make_mlp, square):
    from unbend.numerics.cells import cells

    net = make_mlp([14, 14])
    low, high = np.full(2, -1.0), np.full(2, 1.0)
    truth = cells(net, square).n_faces
    seen = patterns_in_box(net, low, high, n=20_000)
    assert seen.seen <= truth
    assert seen.seen > 0.6 * truth
    assert abs(seen.at_least - truth) < 0.4 * truth
    assert 0.97 < seen.coverage <= 1
    lines = kinks_per_length(net, low, high, n=200)
    more = kinks_per_length(net, low, high, n=200, seed=1)
    assert abs(lines.mean - more.mean) < 4 * np.hypot(lines.standard_error, more.standard_error)
    planes = cells_on_planes(make_mlp([10, 10], d=5), np.full(5, -1.0), np.full(5, 1.0), n=4)
    assert planes.mean >= 1
    assert planes.n == 4
    with pytest.raises(DataError, match="low < high"):
        patterns_in_box(net, high, low)
