"""Read-outs of few rows, base rates, permuted labels."""

import numpy as np
import pytest
import torch
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import RidgeClassifierCV
from sklearn.metrics import average_precision_score, balanced_accuracy_score, r2_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from unbend.numerics.batch import batch, samples
from unbend.numerics.permuted import p_value
from unbend.numerics.rates import rates
from unbend.numerics.readout import Readout, _shares, r2, readout
from unbend.numerics.sample import SampleState
from unbend.numerics.second import SecondState
from unbend.numerics.simultaneous import r2_interval


def fit(x, y, n: int, *, keep: int | None = None) -> Readout:
    """The read-out of the first n rows, scored on the others."""
    k = int(y.max()) + 1 if not y.is_floating_point() else 0
    train, held_out = (batch(x[part], samples(y[part], n_classes=k)) for part in (slice(n), slice(n, None)))
    sample = SampleState.of(train)
    if keep is not None:
        sample = (SampleState(keep, sample.ids, sample.codes, sample.rows, sample.targets)).settle()
    return readout(SecondState.of(train), sample, SampleState.of(held_out))


def wide(n: int, d: int) -> tuple[np.ndarray, np.ndarray]:
    """Three classes in d dimensions, four standard deviations apart."""
    generator = np.random.default_rng(0)
    y = generator.integers(0, 3, n)
    return generator.normal(size=(n, d)) + (generator.normal(size=(3, d)) * 4 / np.sqrt(d))[y], y


CASES = [("cancer", n) for n in (20, 30, 31, 60, 200)] + [("wide", n) for n in (60, 150, 301, 600)]


@pytest.mark.parametrize(("name", "n"), CASES)
def test_of_few_rows_it_reads_as_much_as_cross_validated_ridge_regression(name, n):
    x, y = load_breast_cancer(return_X_y=True) if name == "cancer" else wide(1500, 300)
    gaps = []
    for seed in range(4):
        order = np.random.default_rng(seed).permutation(len(x))
        rows, labels = x[order].astype(np.float32), y[order]
        ours = fit(torch.from_numpy(rows), torch.from_numpy(labels), n).held_out
        peer = make_pipeline(StandardScaler(), RidgeClassifierCV(np.logspace(-3, 4, 15))).fit(rows[:n], labels[:n])
        gaps.append(ours - peer.score(rows[n:], labels[n:]))
    assert np.mean(gaps) > -0.015


def test_base_rates_are_those_of_scikit_learn():
    generator = np.random.default_rng(1)
    truth, score = generator.choice(3, 200, p=[0.8, 0.15, 0.05]), generator.normal(size=(200, 3)).round(1)
    score[np.arange(200), truth] += 1
    found = rates(truth, score.argmax(1), score)
    assert found.majority == np.bincount(truth).max() / 200
    assert found.balanced == pytest.approx(balanced_accuracy_score(truth, score.argmax(1)))
    peers = [average_precision_score(truth == c, score[:, c]) for c in range(3)]
    assert found.precision == pytest.approx(np.mean(peers))


def test_a_layer_that_says_nothing_of_rare_rows_is_balanced_at_one_half():
    y = (torch.arange(2000) % 100 == 0).long()
    x = torch.randn(2000, 4, generator=torch.Generator().manual_seed(0))
    got = fit(x, y, 1000)
    assert got.held_out == got.majority == 0.99
    assert got.balanced == 0.5
    assert got.precision < 0.6
    assert got.control_train == pytest.approx(got.majority_train) == 0.99
    assert got.p_value == 1.0


def test_permuted_labels_are_those_of_the_rows_that_were_fitted():
    x, y = torch.randn(900, 60, generator=torch.Generator().manual_seed(1)), torch.arange(900) % 2
    whole, part = fit(x, y, 600), fit(x, y, 600, keep=200)
    assert whole.n_permuted == part.n_permuted == 20
    assert (whole.n_train, part.n_train) == (600, 200)
    assert part.control_train == pytest.approx(whole.control_train, abs=0.03)
    assert fit(x[:500], y[:500], 200).control_train > whole.control_train + 0.05


def test_labels_that_mean_nothing_are_found_to_mean_something_no_more_often_than_stated():
    found = []
    for seed in range(60):
        generator = torch.Generator().manual_seed(seed)
        x, y = torch.randn(160, 10, generator=generator), (torch.rand(160, generator=generator) > 0.5).long()
        found.append(fit(x, y, 80).p_value)
    assert min(found) >= 1 / 21
    assert np.mean(np.array(found) <= 0.1) <= 0.1 + 2 * np.sqrt(0.09 / 60)
    assert np.mean(found) > 0.45


def test_a_regression_has_an_interval_and_a_control():
    generator = torch.Generator().manual_seed(2)
    x = torch.randn(600, 5, generator=generator).double()
    y = x[:, :1] + torch.randn(600, 1, generator=generator)
    got = fit(x, y, 300)
    low, high = got.held_out_interval
    assert low < 0.5 < high
    assert low < got.held_out < high
    assert got.unexplained.sum() == pytest.approx(1 - got.held_out)
    assert got.control_train < 0.1
    assert got.p_value == 1 / 21


def test_the_least_p_value_counts_the_true_order():
    assert p_value(2.0, np.zeros(99)) == 0.01
    assert np.isnan(p_value(np.nan, np.zeros(9)))
    assert np.isnan(p_value(0.5, np.zeros(0)))


def test_r2_of_several_targets_weighs_them_by_their_variance_as_scikit_learn_does():
    rng = np.random.default_rng(0)
    y = rng.normal(size=(50, 3)) * [1.0, 10.0, 0.0] + 5
    guess = y + rng.normal(size=(50, 3))
    wanted = r2_score(y[:, :2], guess[:, :2], multioutput="variance_weighted")
    residual = (y - guess) * [1, 1, 0]
    assert r2(residual, y) == pytest.approx(wanted)
    assert _shares(residual**2, y).sum() == pytest.approx(1 - wanted)
    low, high = r2_interval(residual**2, y)
    assert low < wanted < high
