"""Every proof refuses to verify once anything in it, or in the data, is changed against it."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from unbend.errors import UnsupportedError
from unbend.numerics.separable import (
    JointOverlap,
    JointSeparation,
    Overlap,
    Separation,
    ladder_step,
    separate,
)


def clouds(gap, n=80, d=4, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n, d))
    y = rng.integers(0, 2, n)
    x[:, 0] += gap * y
    return x, y


SEPARABLE, MIXED = clouds(9.0), clouds(0.5)


@pytest.fixture(scope="module")
def separation():
    verdict = separate(*SEPARABLE)
    assert isinstance(verdict, Separation)
    assert verdict.verify(*SEPARABLE)
    return verdict


@pytest.fixture(scope="module")
def overlap():
    verdict = separate(*MIXED)
    assert isinstance(verdict, Overlap)
    assert verdict.verify(*MIXED)
    return verdict


@pytest.mark.parametrize(
    "change",
    [
        lambda v: {"weight": -v.weight},
        lambda v: {"weight": np.roll(v.weight, 1)},
        lambda v: {"weight": v.weight * np.nan},
        lambda v: {"weight": v.weight[:-1]},
        lambda v: {"bias": v.bias + 100 * abs(v.weight).max()},
        lambda v: {"bias": float("nan")},
        lambda v: {"margin": v.margin * 1.001},
        lambda v: {"robustness": v.robustness * 1.001},
        lambda v: {"positive": v.negative, "negative": v.positive},
        lambda v: {"n": v.n + 1},
        lambda v: {"d": v.d + 1},
    ],
)
def test_a_changed_separation_is_refused(separation, change):
    assert not replace(separation, **change(separation)).verify(*SEPARABLE)


def test_a_separation_is_refused_on_other_data(separation):
    x, y = SEPARABLE
    flipped = y.copy()
    flipped[5] ^= 1
    assert not separation.verify(x, flipped)
    moved = x.copy()
    moved[7] -= 30 * separation.weight / np.linalg.norm(separation.weight) * (2 * y[7] - 1)
    assert not separation.verify(moved, y)
    assert not separation.verify(x[:-1], y[:-1])


def swapped(v):
    rows = v.rows.copy()
    rows[0] = next(i for i in range(v.n) if i not in v.rows)
    return {"rows": rows}


def nudged(v, factor):
    weights = v.weights.copy()
    weights[1] *= factor
    return {"weights": weights}


@pytest.mark.parametrize(
    "change",
    [
        swapped,
        lambda v: nudged(v, 1.00001),
        lambda v: nudged(v, 2.0),
        lambda v: nudged(v, -1.0),
        lambda v: nudged(v, 0.0),
        lambda v: nudged(v, np.nan),
        lambda v: nudged(v, np.inf),
        lambda v: {"rows": v.rows[:-1], "weights": v.weights[:-1]},
        lambda v: {"rows": v.rows[:0], "weights": v.weights[:0]},
        lambda v: {"rows": np.append(v.rows[:-1], v.rows[0])},
        lambda v: {"rows": v.rows - v.n},
        lambda v: {"rows": v.rows + v.n},
        lambda v: {"robustness": v.robustness * 2.01 + 1e-12},
        lambda v: {"n": v.n - 1},
        lambda v: {"d": v.d - 1},
        lambda v: {"positive": 5},
    ],
)
def test_a_changed_overlap_is_refused(overlap, change):
    assert not replace(overlap, **change(overlap)).verify(*MIXED)


def test_an_overlap_is_refused_on_other_data(overlap):
    x, y = MIXED
    flipped = y.copy()
    flipped[overlap.rows[0]] ^= 1
    assert not overlap.verify(x, flipped)
    moved = x.copy()
    moved[overlap.rows[0], 2] *= 1.001
    assert not overlap.verify(moved, y)


def test_no_overlap_is_accepted_on_separable_data():
    """Whatever the weights say, there is no exact dependency nearby."""
    x, y = SEPARABLE
    rng = np.random.default_rng(1)
    for _ in range(50):
        rows = rng.choice(len(x), 6, replace=False)
        claim = Overlap(positive=1, negative=0, n=len(x), d=4, rows=rows, weights=rng.random(6), robustness=0.0)
        assert not claim.verify(x, y)


def three(gap, seed=0):
    rng = np.random.default_rng(seed)
    y = np.arange(60) % 3
    return rng.standard_normal((60, 2)) + gap * np.array([[0, 0], [1, 0], [0, 1]])[y], y


def test_changed_joint_proofs_are_refused():
    x, y = three(12.0)
    verdict = separate(x, y)
    assert isinstance(verdict, JointSeparation)
    assert verdict.verify(x, y)
    for change in (
        {"weight": verdict.weight[::-1].copy()},
        {"bias": verdict.bias + 1e6 * np.eye(3)[0]},
        {"margin": verdict.margin * 1.01},
        {"robustness": verdict.robustness * 1.01},
        {"classes": np.array([0, 1, 5])},
        {"n": 61},
    ):
        assert not replace(verdict, **change).verify(x, y)
    x, y = three(1.0)
    verdict = separate(x, y)
    assert isinstance(verdict, JointOverlap)
    assert verdict.verify(x, y)
    heavier = verdict.weights.copy()
    heavier[0] *= 1.01
    for change in (
        {"weights": heavier},
        {"weights": -verdict.weights},
        {"rivals": (verdict.rivals + 1) % 3},
        {"rivals": y[verdict.rows]},
        {"rows": (verdict.rows + 1) % 60},
        {"rows": verdict.rows + 60},
        {"robustness": verdict.robustness + 1.0},
        {"n": 59},
    ):
        assert not replace(verdict, **change).verify(x, y)


def test_a_packing_that_counts_a_row_twice_is_refused():
    x, y = MIXED
    packing = ladder_step(x, y, shuffles=1).packing
    assert packing.verify(x, y)
    assert packing.n_errors >= 2
    assert not replace(packing, overlaps=packing.overlaps[:1] * 2).verify(x, y)


def test_no_proof_is_checked_where_denormals_vanish(separation):
    if not torch.set_flush_denormal(True):
        pytest.skip("this processor has no such mode")
    try:
        with pytest.raises(UnsupportedError, match="set_flush_denormal"):
            separation.verify(*SEPARABLE)
    finally:
        torch.set_flush_denormal(False)
