import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom, binomtest

from unbend.errors import DataError, ShapeError
from unbend.numerics.interval import paired_difference, silent_bound, wilson


@given(n=st.integers(1, 10_000), share=st.floats(0, 1), level=st.floats(0.5, 0.999))
def test_wilson_is_scipy_s(n, share, level):
    successes = round(share * n)
    low, high = wilson(successes, n, level)
    reference = binomtest(successes, n).proportion_ci(level, method="wilson")
    np.testing.assert_allclose([low, high], [reference.low, reference.high], atol=1e-12)


def test_wilson_broadcasts_and_mirrors():
    n = np.array([[10], [1000]])
    successes = np.array([0, 3, 10])
    low, high = wilson(successes, n)
    assert low.shape == high.shape == (2, 3)
    mirrored_low, mirrored_high = wilson(n - successes, n)
    np.testing.assert_allclose(low, 1 - mirrored_high, atol=1e-15)
    np.testing.assert_allclose(high, 1 - mirrored_low, atol=1e-15)
    assert low[0, 0] == 0
    assert high[0, 2] == 1


def test_wilson_of_nothing_is_everything():
    low, high = wilson(0, 0)
    assert (low, high) == (0, 1)


@pytest.mark.parametrize("p", [0.5, 0.9, 0.99])
def test_wilson_covers(p):
    n = 200
    successes = np.arange(n + 1)
    low, high = wilson(successes, n)
    coverage = binom.pmf(successes, n, p)[(low <= p) & (p <= high)].sum()
    assert 0.92 < coverage < 0.99


@pytest.mark.parametrize("arguments", [(-1, 10), (11, 10), (5, 10, 1.0), (5, 10, 0.0), (np.nan, 3)])
def test_wilson_refuses(arguments):
    with pytest.raises(DataError):
        wilson(*arguments)


def rows(a, b, c, d):
    """Two right/wrong columns with a both right, b only the first, c only the second, d neither."""
    first = np.repeat([True, True, False, False], [a, b, c, d])
    return first, np.repeat([True, False, True, False], [a, b, c, d])


@pytest.mark.parametrize(
    ("table", "low", "high"),
    # Newcombe (1998), table III, method 10: sampled cells of both signs, with and without correlation.
    [((36, 12, 2, 0), 0.0569, 0.3404), ((20, 12, 2, 16), 0.0562, 0.3292), ((0, 0, 0, 30), -0.1135, 0.1135)],
)
def test_paired_is_newcombe_s_table(table, low, high):
    result = paired_difference(*rows(*table))
    np.testing.assert_allclose([result.low, result.high], [low, high], atol=1e-4)


@given(st.tuples(*[st.integers(0, 60)] * 4).filter(sum))
def test_paired_swaps_signs(table):
    first, second = rows(*table)
    there, back = paired_difference(first, second), paired_difference(second, first)
    assert there.difference == -back.difference
    np.testing.assert_allclose([there.low, there.high], [-back.high, -back.low], atol=1e-12)
    assert there.p_value == back.p_value
    assert -1 - 1e-12 <= there.low <= there.difference <= there.high <= 1 + 1e-12
    assert (there.only_first, there.only_second) == table[1:3]


def test_paired_p_value_is_the_mid_p_of_a_fair_coin():
    result = paired_difference(*rows(50, 9, 2, 5))
    assert result.p_value == pytest.approx(2 * binom.cdf(2, 11, 0.5) - binom.pmf(2, 11, 0.5), rel=1e-12)
    assert paired_difference(*rows(50, 4, 4, 5)).p_value == 1
    assert paired_difference(*rows(5, 0, 0, 5)).p_value == 1


def test_paired_beats_two_separate_intervals():
    result = paired_difference(*rows(900, 30, 10, 60))
    low, high = wilson([930, 910], 1000)
    assert low[0] < high[1], "the separate intervals overlap"
    assert result.low > 0


def test_paired_covers():
    rng = np.random.default_rng(0)
    probabilities, n, trials = (0.8, 0.1, 0.04, 0.06), 150, 800
    truth = probabilities[1] - probabilities[2]
    inside = 0
    for table in rng.multinomial(n, probabilities, trials):
        result = paired_difference(*rows(*table))
        inside += result.low <= truth <= result.high
    assert 0.93 < inside / trials < 0.99


def test_paired_refuses_other_rows():
    with pytest.raises(ShapeError):
        paired_difference(np.ones(3, bool), np.ones(4, bool))
    with pytest.raises(DataError):
        paired_difference(np.ones(0, bool), np.ones(0, bool))


@given(st.integers(1, 10**6))
def test_silent_bound_is_the_rate_that_hides_with_5_percent(n):
    rate = silent_bound(n)
    assert n * np.log1p(-rate) == pytest.approx(np.log(0.05), rel=1e-9)
    assert rate <= 3 / n


def test_silent_bound_of_nothing():
    assert silent_bound(0) == 1
    with pytest.raises(DataError):
        silent_bound(-1)
