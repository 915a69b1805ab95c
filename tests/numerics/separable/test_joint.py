import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unbend.numerics.separable import JointOverlap, JointSeparation, Overlap, Separation, hinge, separate
from unbend.numerics.separable import joint as question
from unbend.numerics.separable.joint import joint
from unbend.numerics.separable.search import Limits


@settings(max_examples=30, deadline=None, derandomize=True)
@given(st.integers(0, 2**32 - 1), st.integers(3, 9), st.integers(1, 2), st.booleans())
def test_three_classes_agree_with_exact_linear_programming(is_separable, seed, n, d, is_grid):
    rng = np.random.default_rng(seed)
    x = rng.integers(-2, 3, (n, d)).astype(float) if is_grid else rng.standard_normal((n, d)).astype(np.float32)
    y = rng.integers(0, 3, n)
    verdict = separate(x, y)
    assert verdict.verify(x, y)
    assert isinstance(verdict, (Separation, JointSeparation) if is_separable(x, y) else (Overlap, JointOverlap))


def test_three_classes_in_a_row_on_a_line():
    """Jointly separable, yet the one in the middle is not separable from the rest."""
    x = np.array([[0.0], [1.0], [2.0], [3.0], [4.0], [5.0]])
    y = np.array([0, 0, 1, 1, 2, 2])
    assert isinstance(separate(x, y), JointSeparation)
    rest = separate(x, y, form="one-vs-rest")
    assert [type(v) for v in rest.verdicts] == [Separation, Overlap, Separation]
    assert rest.is_separable is False
    pairs = separate(x, y, form="pairwise")
    assert pairs.is_separable is True
    assert rest.verify(x, y)
    assert pairs.verify(x, y)


def pinwheel():
    """Three needles around a triangle: every two can be parted, the three cannot be read out at once."""
    angle = 2 * np.pi * np.arange(3) / 3
    start = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    along = np.stack([-np.sin(angle), np.cos(angle)], axis=1)
    ends = np.stack([start - 4 * along, start + 1.2 * along], axis=1)
    return ends.reshape(6, 2), np.repeat(np.arange(3), 2)


def test_a_pinwheel_is_pairwise_but_not_jointly_separable(is_separable):
    x, y = pinwheel()
    assert not is_separable(x, y)
    verdict = separate(x, y)
    assert isinstance(verdict, JointOverlap)
    assert verdict.verify(x, y)
    assert set(y[verdict.rows]) == {0, 1, 2}
    assert separate(x, y, form="pairwise").is_separable is True


def test_a_circulation_balances_mass_and_mean():
    x, y = pinwheel()
    verdict = separate(x, y)
    long = np.hstack([x, np.ones((6, 1))])[verdict.rows] * verdict.weights[:, None]
    for c in range(3):
        out, back = long[y[verdict.rows] == c].sum(axis=0), long[verdict.rivals == c].sum(axis=0)
        np.testing.assert_allclose(out, back, atol=1e-12)


def test_labels_need_not_be_consecutive():
    x = np.array([[0.0], [5.0], [9.0]])
    y = np.array([-3, 40, 7])
    verdict = separate(x, y)
    assert verdict.classes.tolist() == [-3, 7, 40]
    assert verdict.verify(x, y)


def test_equal_rows_in_two_of_three_classes():
    x = np.array([[0.0], [5.0], [9.0], [5.0]])
    y = np.array([0, 1, 2, 2])
    verdict = separate(x, y)
    assert sorted(verdict.rows.tolist()) == [1, 3]
    assert verdict.verify(x, y)


def blobs(n, d, k, gap, seed=0):
    rng = np.random.default_rng(seed)
    y = rng.integers(0, k, n)
    return (rng.standard_normal((n, d)) + gap * rng.standard_normal((k, d))[y]).astype(np.float32), y


def test_wide_layers_go_through_a_read_out():
    x, y = blobs(1500, 90, 6, 1.5)
    verdict = separate(x, y)
    assert isinstance(verdict, JointSeparation)
    assert verdict.verify(x, y)


def test_wide_layers_that_overlap_are_refuted_by_a_pair():
    x, y = blobs(4000, 90, 6, 0.25)
    verdict = separate(x, y, budget=60.0)
    assert isinstance(verdict, JointOverlap)
    assert verdict.verify(x, y)
    assert len({*y[verdict.rows].tolist(), *verdict.rivals.tolist()}) == 2


def test_a_budget_of_nothing_leaves_the_joint_question_open():
    x, y = blobs(4000, 90, 6, 0.25)
    verdict, weight, bias = joint(x, y, Limits(deadline=0.0))
    assert verdict.reason == "out of time"
    assert verdict.errors == int(((x @ weight.T + bias).argmax(axis=1) != y).sum())
    assert verdict.verify(x, y)


def test_rows_in_a_plane_of_many_dimensions_do_not_stop_the_read_out(monkeypatch):
    """Float32 sums of them have negative eigenvalues beyond the least damping: the next greater one serves."""
    rng = np.random.default_rng(0)
    plane = rng.standard_normal((1000, 2))
    y = (plane @ np.array([[1.0, -0.5, -0.5], [0.0, 1.0, -1.0]])).argmax(axis=1)
    x = (plane @ rng.standard_normal((2, 200))).astype(np.float32)
    monkeypatch.setattr(hinge, "DAMPINGS", (*hinge.DAMPINGS, 1e-12))
    monkeypatch.setattr(hinge, "LITTLE", 1.1)
    steps = []
    inner = hinge._Problem.newton_step
    monkeypatch.setattr(hinge._Problem, "newton_step", lambda *a: steps.append(inner(*a)) or steps[-1])
    found = list(hinge.readouts(x, y, 3, math.inf))
    assert any(step is None for step in steps)
    assert found[-1].errors < 10


@pytest.mark.parametrize("largest", [hinge.LARGEST, 0], ids=["one factor", "conjugate gradients"])
def test_read_outs_of_separable_classes_come_to_make_no_error(largest, monkeypatch):
    """Rows that a hidden read-out sorts into five classes, some of them by a hair."""
    monkeypatch.setattr(hinge, "LARGEST", largest)
    rng = np.random.default_rng(0)
    x = rng.standard_normal((4000, 60)).astype(np.float32)
    y = (x @ rng.standard_normal((60, 5))).argmax(axis=1)
    found = list(hinge.readouts(x, y, 5, math.inf))
    assert found[-1].errors == 0
    assert ((x @ found[-1].weight.T + found[-1].bias).argmax(axis=1) == y).all()


def test_a_unit_that_is_still_in_most_rows_does_not_stall_the_read_out():
    """A unit that whispers once in a sample of rows and is loud elsewhere."""
    rng = np.random.default_rng(0)
    n = 20_000
    y = rng.integers(0, 3, n)
    x = (rng.standard_normal((n, 6)) + 2 * np.eye(6)[y]).astype(np.float32)
    rare = np.zeros(n, np.float32)
    rare[0], rare[1::100] = 1e-6, 3.0
    first = next(hinge.readouts(np.c_[x, rare], y, 3, math.inf))
    assert first.errors < 0.2 * n


def test_a_pair_that_is_confused_often_settles_the_question_early(monkeypatch):
    """Two of four classes are one cloud: an overlap of that pair is the proof, and the whole cone is never searched."""
    rng = np.random.default_rng(0)
    n, d = 6000, 200
    y = rng.integers(0, 4, n)
    x = rng.standard_normal((n, d)).astype(np.float32)
    x[:, :2] += 8 * np.array([[0, 0], [0, 0], [1, 0], [0, 1]])[y]
    monkeypatch.setattr(question, "_by_cone", lambda *_a: pytest.fail("the whole cone was searched"))
    steps = []
    readouts = hinge.readouts
    monkeypatch.setattr(question, "readouts", lambda *a: (steps.append(1) or r for r in readouts(*a)))
    verdict = separate(x, y)
    assert isinstance(verdict, JointOverlap)
    assert set(y[verdict.rows]) == {0, 1}
    assert len(verdict.rows) <= d + 2
    assert verdict.verify(x, y)
    assert len(steps) <= 2
