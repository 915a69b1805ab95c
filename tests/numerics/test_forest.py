"""Trees tell what can be told: in closed form where there is one, and as well as scikit-learn's where there is none."""

import numpy as np
import pytest
from sklearn.ensemble import ExtraTreesClassifier, ExtraTreesRegressor

from unbend.numerics.forest import class_votes, mean_targets


def rows(n, d=6, seed=0):
    return np.random.default_rng(seed).normal(size=(n, d))


def test_rows_that_are_known_are_told_as_they_are():
    x = rows(300)
    y = np.random.default_rng(1).integers(0, 4, 300)
    assert np.array_equal(class_votes(x, y, x), np.eye(4)[y])
    targets = rows(300, 3, seed=2)
    np.testing.assert_allclose(mean_targets(x, targets, x), targets, atol=1e-12)


def test_votes_are_shares():
    votes = class_votes(rows(200), np.arange(200) % 5, rows(90, seed=1), smallest=3)
    assert votes.min() >= 0
    np.testing.assert_allclose(votes.sum(1), 1, atol=1e-12)


def test_what_no_column_tells_gets_the_mean_of_all():
    x, new = np.ones((40, 3)), rows(5, 3)
    y = np.array([0] * 30 + [1] * 10)
    np.testing.assert_allclose(class_votes(x, y, new), np.tile([0.75, 0.25], (5, 1)), atol=1e-12)
    one = rows(40, 2)
    np.testing.assert_allclose(mean_targets(one, np.ones((40, 1)), new[:, :2]), 1, atol=1e-12)


def test_a_leaf_holds_as_many_rows_as_asked():
    x = np.arange(30.0)[:, None]
    y = np.zeros(30, np.int64)
    y[7] = 1
    votes = class_votes(x, y, x, n_trees=1, smallest=6)
    assert set(np.unique(votes[:, 1]).tolist()) <= {0.0, *(1 / n for n in range(6, 31))}
    assert (votes[:, 1] > 0).sum() >= 6
    means = mean_targets(x, x, x, n_trees=1, smallest=6)
    assert np.unique(means, return_counts=True)[1].min() >= 6


def test_a_column_that_never_changes_costs_no_split():
    x = np.concatenate([np.ones((60, 24)), np.arange(60.0)[:, None]], 1)
    y = (np.arange(60) >= 30).astype(np.int64)
    votes = class_votes(x, y, x)
    assert np.array_equal(votes, np.eye(2)[y]), "one column of five that are tried may be looked for among all"


def test_classes_of_few_rows_are_counted():
    x = rows(50)
    y = np.r_[np.zeros(48, np.int64), 1, 2]
    assert class_votes(x, y, x).shape == (50, 3)


def test_values_that_no_float_is_between_are_split():
    low = np.float32(1.0)
    high = np.nextafter(np.float32(1e7), np.float32(np.inf))
    x = np.array([[np.float32(1e7)], [high]], np.float32)
    assert class_votes(x, np.array([0, 1]), x).tolist() == [[1.0, 0.0], [0.0, 1.0]]
    same = np.array([[low], [np.nextafter(low, np.float32(2))]], np.float32) * np.float32(1e-3)
    np.testing.assert_allclose(class_votes(same, np.array([0, 1]), same), 0.5)


def test_the_seed_says_what_is_drawn():
    x, y, new = rows(200), np.arange(200) % 3, rows(50, seed=3)
    one = class_votes(x, y, new, seed=1)
    assert np.array_equal(one, class_votes(x, y, new, seed=1))
    assert not np.array_equal(one, class_votes(x, y, new, seed=2))


def test_the_order_of_the_rows_asked_about_does_not_matter():
    x, y, new = rows(120), np.arange(120) % 2, rows(40, seed=3)
    assert class_votes(x, y, new[:0]).shape == (0, 2)
    order = np.random.default_rng(0).permutation(40)
    np.testing.assert_allclose(class_votes(x, y, new[order]), class_votes(x, y, new)[order], atol=1e-12)


@pytest.mark.parametrize("k", [2, 5])
def test_it_is_right_as_often_as_the_trees_of_scikit_learn(k):
    x, new = rows(400, 8), rows(2000, 8, seed=1)
    weight = np.random.default_rng(5).normal(size=(8, k))
    y, truth = ((np.tanh(part) @ weight).argmax(1) for part in (x, new))
    votes = class_votes(x, y, new, n_trees=100)
    theirs = ExtraTreesClassifier(100, random_state=0).fit(x, y).predict_proba(new)
    other = ExtraTreesClassifier(100, random_state=1).fit(x, y).predict_proba(new)
    apart = np.abs(theirs - other).mean()
    assert np.abs(votes - theirs).mean() < 1.2 * apart
    assert abs((votes.argmax(1) == truth).mean() - (theirs.argmax(1) == truth).mean()) < 0.02
    assert abs(votes.max(1).mean() - theirs.max(1).mean()) < 0.01


def test_targets_are_told_as_well_as_by_the_trees_of_scikit_learn():
    x, new = rows(400, 5), rows(1000, 5, seed=1)
    y = np.stack([x[:, 0] * x[:, 1], np.sin(2 * x[:, 2])], 1)
    found = mean_targets(x, y, new, n_trees=100, smallest=3)
    theirs = ExtraTreesRegressor(100, min_samples_leaf=3, random_state=0).fit(x, y).predict(new)
    other = ExtraTreesRegressor(100, min_samples_leaf=3, random_state=1).fit(x, y).predict(new)
    assert np.sqrt(((found - theirs) ** 2).mean()) < 1.2 * np.sqrt(((theirs - other) ** 2).mean())
