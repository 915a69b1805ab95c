from math import comb

import numpy as np
import pytest
import torch

from unbend.errors import ShapeError
from unbend.numerics.separable import (
    JointOverlap,
    JointSeparation,
    Overlap,
    Separation,
    Undecided,
    cover_probability,
    ladder_step,
    separate_with,
)


@pytest.mark.parametrize("n", [1, 2, 5, 9, 14])
@pytest.mark.parametrize("rank", [0, 1, 2, 5])
def test_cover_counts_dichotomies(n, rank):
    count = 2 * sum(comb(n - 1, k) for k in range(rank + 1))
    assert cover_probability(n, rank) == pytest.approx(count / 2**n)


def test_random_labels_on_raw_pixels_are_separable_and_worthless():
    rng = np.random.default_rng(0)
    ink = rng.random((1000, 784)) < 0.2
    x = (ink * rng.integers(1, 256, (1000, 784))).astype(np.float32) / 255
    y = rng.integers(0, 10, 1000)
    step = ladder_step(x, y, shuffles=3, held_out=(x[:50], rng.integers(0, 10, 50)))
    assert isinstance(step.verdict, JointSeparation)
    assert step.verify(x, y)
    assert step.frame.is_worthless
    assert step.frame.control.n_separable == step.frame.control.n == 3
    assert step.frame.held_out_accuracy < 0.4
    assert not step.frame.last_bits_only


def test_xor_through_an_affine_layer_is_separable_in_the_last_bits_only():
    rng = np.random.default_rng(0)
    corner = rng.integers(0, 2, (200, 2))
    torch.manual_seed(0)
    points = torch.tensor(corner + 0.2 * rng.standard_normal((200, 2)), dtype=torch.float32)
    x = torch.nn.Linear(2, 512)(points).detach()
    y = corner[:, 0] ^ corner[:, 1]
    step = ladder_step(x, y, shuffles=1, budget=60.0)
    assert isinstance(step.verdict, Separation)
    assert step.verify(x, y)
    assert step.frame.last_bits_only
    assert step.frame.robustness < 1e-7
    assert step.frame.rank == 2
    assert ladder_step(x.double(), y, shuffles=1, budget=60.0).frame.last_bits_only
    assert isinstance(ladder_step(points, y, shuffles=1).verdict, Overlap)


def test_robustness_is_real():
    """Data changed by less than the stated part keep the verdict; the same proof still verifies."""
    rng = np.random.default_rng(1)
    x = rng.standard_normal((300, 4))
    for y in ((x[:, 0] > 0).astype(int), (x[:, 0] + rng.standard_normal(300) > 0).astype(int)):
        step = ladder_step(x, y, shuffles=1)
        assert step.frame.robustness > 1e-6
        for _ in range(20):
            noise = rng.choice([-1.0, 1.0], x.shape) * step.frame.robustness * 0.999
            moved = ladder_step(x * (1 + noise), y, shuffles=1, budget=5.0).verdict
            assert type(moved) is type(step.verdict)


def test_bounds_on_errors_bracket_the_truth():
    """On a line the least number of errors can be counted."""
    rng = np.random.default_rng(2)
    x = rng.standard_normal((120, 1))
    y = (x[:, 0] + 0.8 * rng.standard_normal(120) > 0).astype(int)
    label = y[np.argsort(x[:, 0])]
    left = np.concatenate([[0], np.cumsum(label)])
    right = np.concatenate([np.cumsum((1 - label)[::-1])[::-1], [0]])
    least = min((left + right).min(), (120 - left - right).min())
    step = ladder_step(x, y, shuffles=2)
    assert isinstance(step.verdict, Overlap)
    assert 0 < step.frame.errors_at_least <= least <= step.frame.errors_at_most
    assert step.frame.errors_at_least >= 0.5 * least
    assert step.verify(x, y)
    assert step.frame.control.n_separable == 0
    assert not step.frame.is_worthless


def test_equal_rows_count_as_errors_one_by_one():
    x = np.repeat(np.arange(6.0)[:, None], 5, axis=0)
    y = np.tile([0, 0, 1, 1, 1], 6)
    step = ladder_step(x, y, shuffles=1)
    assert step.frame.errors_at_least == 12
    assert step.verify(x, y)
    y = np.tile([0, 1, 2, 2, 1], 6)
    step = ladder_step(x, y, shuffles=1)
    assert step.frame.errors_at_least >= 12
    assert step.verify(x, y)


def test_margin_is_in_units_of_the_spread():
    rng = np.random.default_rng(3)
    x = rng.standard_normal((100, 3))
    x[:, 0] += np.where(np.arange(100) < 50, 5, -5)
    y = (np.arange(100) < 50).astype(int)
    small, large = (ladder_step(x * s, y, shuffles=1).frame for s in (1.0, 1e6))
    assert large.margin == pytest.approx(small.margin, rel=1e-6)
    assert large.spread == pytest.approx(1e6 * small.spread)
    assert small.spread == pytest.approx(np.sqrt(x.var(axis=0).sum()))


def test_cover_only_where_it_applies():
    rng = np.random.default_rng(4)
    x = rng.standard_normal((60, 29))
    balanced = np.arange(60) % 2
    assert ladder_step(x, balanced, shuffles=1).frame.cover == pytest.approx(0.5)
    assert ladder_step(x, (np.arange(60) % 10 == 0).astype(int), shuffles=1).frame.cover is None
    assert ladder_step(x, np.arange(60) % 3, shuffles=1).frame.cover is None


def test_shuffled_rare_labels_outlive_cover():
    """One class against nine others: separable under permutation well beyond n = 2 (d + 1)."""
    rng = np.random.default_rng(5)
    x = rng.standard_normal((63, 20))
    y = (np.arange(63) % 10 == 0).astype(int)
    frame = ladder_step(x, y, shuffles=10).frame
    assert cover_probability(63, frame.rank) < 0.01
    assert frame.control.n_separable >= 6


def test_the_network_s_own_head_is_the_proof():
    rng = np.random.default_rng(6)
    weight, bias = rng.standard_normal((4, 7)).astype(np.float32), rng.standard_normal(4).astype(np.float32)
    x = rng.standard_normal((500, 7)).astype(np.float32)
    y = (x @ weight.T + bias).argmax(axis=1)
    head = torch.tensor(weight), torch.tensor(bias)
    step = ladder_step(torch.tensor(x), torch.tensor(y), head=head, shuffles=1)
    assert step.by_head
    assert isinstance(step.verdict, JointSeparation)
    np.testing.assert_array_equal(step.verdict.weight, weight)
    assert step.verify(x, y)
    wrong = separate_with(x, np.roll(y, 1), *head)
    assert isinstance(wrong, Undecided)
    assert wrong.errors == int((np.roll(y, 1) != y).sum())
    assert wrong.verify(x, np.roll(y, 1))
    assert not ladder_step(x, np.where(np.arange(500) == 3, (y + 1) % 4, y), head=head, shuffles=1).by_head


def test_a_head_of_one_output_is_a_hyperplane():
    x = np.array([[0.0], [1.0]])
    verdict = separate_with(x, np.array([0, 1]), np.array([2.0]), np.array([-1.0]))
    assert isinstance(verdict, Separation)
    assert verdict.margin == pytest.approx(0.5)


@pytest.mark.parametrize(("weight", "y"), [((3, 2), [0, 1]), ((2, 1), [0, 2])])
def test_a_head_that_does_not_fit_is_refused(weight, y):
    with pytest.raises(ShapeError, match="head"):
        separate_with(np.array([[0.0], [1.0]]), np.array(y), np.zeros(weight), np.zeros(weight[0]))


def test_witnesses_are_rows_of_the_proof():
    rng = np.random.default_rng(7)
    x = rng.standard_normal((90, 2))
    step = ladder_step(x, rng.integers(0, 3, 90), shuffles=1)
    assert isinstance(step.verdict, JointOverlap)
    assert set(step.witnesses) <= set(step.verdict.rows)
    y = (x[:, 0] > 0).astype(int)
    step = ladder_step(x, y, shuffles=1)
    distance = np.abs(x @ step.verdict.weight + step.verdict.bias)
    share = distance / (np.abs(x) @ np.abs(step.verdict.weight))
    assert step.witnesses[0] == np.argmin(share)
