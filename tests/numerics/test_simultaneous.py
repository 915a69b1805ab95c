"""Intervals that hold for all layers at once, by simulation."""

import numpy as np
import pytest
from scipy.special import ndtr, ndtri

from unbend.errors import DataError
from unbend.numerics.interval import paired_difference, wilson
from unbend.numerics.simultaneous import accuracies, differences, means, optimism, over_draws, r2_interval, single_level

LAYERS, RUNS = 10, 800
"""Of so many runs a rate of .95 is known to .008, so that the bounds .93 and .97 tell a level that is off by .02."""


def layers(seed: int, n: int, truth: np.ndarray, tied: float = 0.7) -> np.ndarray:
    """Rows read rightly by layers of known accuracy that mostly fail on the same rows [l, n]."""
    generator = np.random.default_rng(seed)
    common, own = generator.standard_normal(n), generator.standard_normal((len(truth), n))
    return (tied * common + np.sqrt(1 - tied**2) * own < ndtri(truth)[:, None]).astype(float)


@pytest.mark.parametrize(("n", "base"), [(100, 0.7), (300, 0.9)])
def test_all_intervals_hold_at_once_as_often_as_they_say(n, base):
    truth = np.full(LAYERS, base)
    bands = [accuracies(layers(seed, n, truth)) for seed in range(RUNS)]
    at_once = np.mean([bool(((b.low <= truth) & (truth <= b.high)).all()) for b in bands])
    best = np.mean([b.low[b.value.argmax()] <= base <= b.high[b.value.argmax()] for b in bands])
    assert 0.93 <= at_once <= 0.97
    assert best >= 0.93
    single = [wilson(layers(seed, n, truth).sum(1), n) for seed in range(100)]
    assert np.mean([bool(((low <= base) & (base <= high)).all()) for low, high in single]) < 0.9


def test_layers_that_do_not_differ_are_said_to_no_more_often_than_one_in_twenty():
    truth = np.full(LAYERS, 0.85)
    found = []
    for seed in range(RUNS):
        right = layers(seed, 250, truth)
        band = differences(right[1:], right[0])
        found.append(bool(((band.low > 0) | (band.high < 0)).any()))
    assert np.mean(found) <= 0.05 + 1.64 * np.sqrt(0.05 * 0.95 / RUNS)
    assert np.mean(found) >= 0.005


def test_means_hold_at_once():
    generator = np.random.default_rng(3)
    hits = []
    for _ in range(RUNS):
        values = generator.standard_normal(200) * 0.8 + generator.standard_normal((8, 200))
        band = means(values)
        hits.append(bool(((band.low <= 0) & (band.high >= 0)).all()))
    assert 0.93 <= np.mean(hits) <= 0.97


@pytest.mark.parametrize(("draws", "spread"), [(5, 0.0), (5, 0.15), (3, 0.3)])
def test_gains_over_untrained_draws_hold_for_other_rows_and_other_draws(draws, spread):
    """Six layers, whose untrained draws differ by `spread` standard deviations of what is read."""
    truth, n, runs = np.full(6, 0.85), 250, 250
    hits = []
    for seed in range(runs):
        generator = np.random.default_rng(seed)
        shift = spread * generator.standard_normal((draws, 6))
        common, own = generator.standard_normal(n), generator.standard_normal((draws + 1, 6, n))
        score = 0.7 * common + np.sqrt(1 - 0.7**2) * own
        level = ndtri(truth)[:, None]
        trained = (score[0] < level).astype(float)
        fresh = (score[1:] < level + shift[..., None]).astype(float)
        band = over_draws(trained, fresh)
        # what a draw reads on average over draws and rows, and the trained layer over rows
        gain = truth - ndtr(ndtri(truth) / np.sqrt(1 + spread**2))
        hits.append(bool(((band.low <= gain) & (gain <= band.high)).all()))
    assert 0.93 <= np.mean(hits) <= 0.99  # squared and added halves are a little too long, and never too short


def test_layers_that_read_no_better_than_their_draws_are_praised_no_more_often_than_one_in_twenty():
    told = []
    for seed in range(300):
        table = layers(seed, 250, np.full(12, 0.85))
        told.append(bool((over_draws(table[:2], table[2:].reshape(5, 2, 250)).low > 0).any()))
    assert np.mean(told) <= 0.05 + 1.64 * np.sqrt(0.05 * 0.95 / 300)


def test_the_test_of_paired_rows_keeps_its_level():
    told = []
    for seed in range(2000):
        first, second = layers(seed, 120, np.full(2, 0.8)).astype(bool)
        told.append(paired_difference(first, second).p_value)
    for level in (0.01, 0.05, 0.2):
        rate = np.mean(np.array(told) <= level)
        assert rate <= level + 1.64 * np.sqrt(level * (1 - level) / len(told))


def test_equal_layers_cost_nothing_and_one_layer_is_a_single_interval():
    right = np.tile(np.arange(100) < 80, (5, 1)).astype(float)
    assert single_level(right) == pytest.approx(0.95, abs=0.005)
    assert single_level(np.ones((4, 100))) == 0.95
    assert optimism(right[:1]) == 0.0
    with pytest.raises(DataError, match="at least two numbers"):
        single_level(np.ones((4, 1)))


def test_the_best_of_equal_layers_owes_its_lead_to_chance():
    truth = np.full(LAYERS, 0.8)
    tables = [layers(seed, 200, truth) for seed in range(200)]
    lead = np.mean([table.mean(1).max() - 0.8 for table in tables])
    assert np.mean([optimism(table) for table in tables]) == pytest.approx(lead, rel=0.3)


def test_the_interval_of_r2_holds_as_often_as_it_says():
    generator = np.random.default_rng(5)
    hits = []
    for _ in range(RUNS):
        signal, noise = generator.standard_normal((2, 150, 1))
        low, high = r2_interval(noise**2, signal + noise, draws=300)
        hits.append(low <= 0.5 <= high)
    assert 0.93 <= np.mean(hits) <= 0.97
    assert np.isnan(r2_interval(np.zeros((2, 1)), np.zeros((2, 1)))).all()
