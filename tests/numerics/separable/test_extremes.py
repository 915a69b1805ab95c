"""Numbers at the ends of float64, and programs that let floating-point exceptions raise."""

import numpy as np
import pytest

from unbend.numerics.separable import (
    JointOverlap,
    JointSeparation,
    Overlap,
    Separation,
    Undecided,
    ladder_step,
    separate,
)

SMALL, LARGE = 5e-324, 1e300


def clouds(gap, k=2, n=60):
    """Rows of small whole numbers, so that a power of two times them is exact wherever it can be stored."""
    rng = np.random.default_rng(0)
    y = rng.integers(0, k, n)
    x = rng.integers(-4, 5, (n, 3)).astype(float)
    x[:, 0] += gap * y
    return x, y


@pytest.fixture
def raising():
    with np.errstate(all="raise"):
        yield


@pytest.mark.parametrize("scale", [SMALL, 2.0**-1030, LARGE])
@pytest.mark.parametrize(("gap", "k", "kind"), [(1, 2, Overlap), (20, 2, Separation), (0, 3, JointOverlap)])
def test_the_verdict_at_either_end_of_float64_is_that_of_whole_numbers(raising, scale, gap, k, kind):
    x, y = clouds(gap, k)
    assert isinstance(separate(x, y), kind)
    verdict = separate(x * scale, y)
    assert isinstance(verdict, kind)
    assert verdict.verify(x * scale, y)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("seed", [7, 29, 12])
def test_columns_of_denormals_and_others_are_decided_or_said_to_be_too_fine(dtype, seed):
    """Round coordinates overflow on these columns; the answer then comes from integers, if float64 can state it."""
    rng = np.random.default_rng(seed)
    tiny = np.finfo(dtype).smallest_subnormal
    small = rng.integers(-3, 4, (75, 4)) * tiny
    x = np.where(rng.random((75, 4)) < 0.5, rng.standard_normal((75, 4)).astype(dtype), small)
    by_column, *random = (x[:, 0] > 0).astype(int), rng.integers(0, 2, 75), rng.integers(0, 3, 75)
    for y, wrong in ((by_column, Overlap), *((y, Separation | JointSeparation) for y in random)):
        verdict = separate(x, y)
        assert verdict.verify(x, y)
        assert not isinstance(verdict, wrong)
        assert (
            not isinstance(verdict, Undecided) or verdict.reason == "the hyperplane is too fine for two float64 words"
        )


@pytest.mark.parametrize(("gap", "k"), [(1, 2), (20, 2), (0, 3)])
def test_a_program_that_raises_on_underflow_gets_the_same_step(gap, k):
    x, y = clouds(gap, k)
    x[:, 1] *= 1e-310
    usual = ladder_step(x, y, shuffles=2, budget=None)
    with np.errstate(all="raise"):
        step = ladder_step(x, y, shuffles=2, budget=None)
        assert step.verify(x, y)
    np.testing.assert_equal(step.witnesses, usual.witnesses)
    assert type(step.verdict) is type(usual.verdict)
    assert step.verdict.robustness == usual.verdict.robustness
