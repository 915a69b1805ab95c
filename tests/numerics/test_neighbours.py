"""Neighbours kept by a plane: as scikit-learn counts them, all of them by a copy, none but chance by a random plane."""

import numpy as np
import pytest
from sklearn.manifold import trustworthiness as reference

from unbend.numerics import neighbours as near
from unbend.numerics.procrustes import displacement, turn, unit_size

rng = np.random.default_rng(0)
ROWS = rng.normal(size=(120, 7))
RANDOM = rng.normal(size=(120, 2))
SHADOW = ROWS[:, :2]


def found(rows, points, k=10):
    ranks = near.ranks(rows)
    return ranks, near.nearest(points, ranks.anchors, k)


@pytest.mark.parametrize("points", [SHADOW, RANDOM, ROWS @ rng.normal(size=(7, 2))])
@pytest.mark.parametrize("k", [1, 5, 10])
def test_trustworthiness_is_that_of_scikit_learn(points, k):
    assert near.trustworthiness(*found(ROWS, points, k)) == pytest.approx(reference(ROWS, points, n_neighbors=k))


def test_a_copy_keeps_all_neighbours_and_a_random_plane_as_many_as_chance():
    ranks, mine = found(ROWS, ROWS)
    assert near.trustworthiness(ranks, mine) == 1
    assert near.preservation(ranks, mine) == 1
    ranks, mine = found(ROWS, RANDOM)
    assert near.trustworthiness(ranks, mine) == pytest.approx(0.5, abs=0.06)
    assert near.preservation(ranks, mine) == pytest.approx(10 / 119, abs=0.03)


def test_no_row_is_its_own_neighbour_even_among_equal_ones():
    equal = np.repeat(ROWS[:40], 3, axis=0)
    mine = near.nearest(equal, np.arange(120), 5)
    assert not (mine == np.arange(120)[:, None]).any()
    assert (mine[:, :2] // 3 == np.arange(120)[:, None] // 3).all()


def test_many_rows_are_asked_of_evenly_spaced_anchors(monkeypatch):
    whole = near.trustworthiness(*found(ROWS, SHADOW))
    monkeypatch.setattr(near, "ANCHORS", 40)
    monkeypatch.setattr(near, "_BLOCK", 1000)
    ranks, mine = found(ROWS, SHADOW)
    assert ranks.rank.shape == (40, 120)
    assert ranks.anchors[[0, -1]].tolist() == [0, 119]
    assert near.trustworthiness(ranks, mine) == pytest.approx(whole, abs=0.05)


def test_planes_agree_with_their_turned_selves():
    _, mine = found(ROWS, RANDOM)
    _, turned = found(ROWS, RANDOM @ np.array([[0.6, 0.8], [-0.8, 0.6]]))
    assert near.agreement(mine, turned) == 1
    assert near.agreement(mine, found(ROWS, SHADOW)[1]) < 0.3


def test_accuracy_is_that_of_held_out_rows_among_training_rows():
    y = (SHADOW[:, 0] > 0).astype(np.int64)
    held_out = np.arange(120) % 3 == 0
    assert near.neighbour_accuracy(SHADOW, y, held_out) > 0.85
    assert near.neighbour_accuracy(RANDOM, y, held_out) < 0.75
    assert np.isnan(near.neighbour_accuracy(SHADOW, y, held_out & False))


@pytest.mark.parametrize("mirror", [1, -1])
def test_a_plane_that_was_turned_mirrored_stretched_and_shifted_lies_on_itself_again(mirror):
    moved = 3 * RANDOM @ np.array([[0.6, 0.8], [-0.8, 0.6]]) * [1, mirror] + [5, -2]
    back = turn(unit_size(moved), unit_size(RANDOM))
    assert displacement(back, unit_size(RANDOM)) < 1e-12


def test_no_turn_lies_nearer_than_the_one_that_is_found():
    onto, mine = unit_size(RANDOM), unit_size(SHADOW)
    best = ((turn(mine, onto) - onto) ** 2).sum()
    for angle in np.linspace(0, 2 * np.pi, 73):
        for mirror in (1, -1):
            around = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]) * [1, mirror]
            assert ((mine @ around - onto) ** 2).sum() >= best - 1e-9


def test_equal_points_have_no_size():
    np.testing.assert_array_equal(unit_size(np.full((5, 2), 3.0)), np.zeros((5, 2)))
