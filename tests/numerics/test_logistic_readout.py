"""Logistic read-outs in the place of the closed form."""

import numpy as np
import pytest
import torch
from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from unbend.numerics.batch import batch, samples
from unbend.numerics.logistic_readout import logistic_readout, seconds
from unbend.numerics.readout import Readout, alike, readout
from unbend.numerics.sample import SampleState
from unbend.numerics.second import SecondState
from unbend.numerics.yes_no import label_readouts


def both(x, y, n: int, *, finish=readout, k: int | None = None) -> tuple[Readout, Readout]:
    """The closed form and the logistic read-out of the first n rows, scored on the others."""
    k = int(y.max()) + 1 if k is None else k
    parts = [batch(x[part], samples(y[part], n_classes=k)) for part in (slice(n), slice(n, None))]
    second, train, held_out = SecondState.of(parts[0]), SampleState.of(parts[0]), SampleState.of(parts[1])
    closed = finish(second, train, held_out)
    return closed, logistic_readout(closed, second, train, held_out)


def shuffled(load, seed=0):
    x, y = load(return_X_y=True)
    order = np.random.default_rng(seed).permutation(len(x))
    return torch.from_numpy(x[order].astype(np.float32)), torch.from_numpy(y[order]).long()


@pytest.mark.parametrize(("load", "n"), [(load_digits, 1000), (load_digits, 300), (load_breast_cancer, 60)])
def test_it_reads_as_much_as_scikit_learn_at_the_same_penalty(load, n):
    x, y = shuffled(load)
    closed, found = both(x, y, n)
    rows = x.numpy()[:, x[:n].std(0).numpy() > 0]
    peer = make_pipeline(StandardScaler(), LogisticRegression(C=1 / (found.ridge * n), max_iter=2000))
    peer.fit(rows[:n], y[:n])
    assert found.held_out == pytest.approx(peer.score(rows[n:], y[n:]), abs=0.012)
    assert found.reader == "logistic"
    assert found.closed is closed
    assert (found.control_train, found.p_value) == (closed.control_train, closed.p_value)


def test_of_digits_it_reads_what_the_closed_form_misses():
    closed, found = both(*shuffled(load_digits), 1400)
    assert found.held_out > closed.held_out + 0.01
    assert (found.n_fit, found.n_held_out) == (1400, 397)


def test_rows_in_another_order_under_other_numbers_give_the_same_planes():
    x, y = shuffled(load_digits)
    order = torch.randperm(600, generator=torch.Generator().manual_seed(1))
    first = both(x, y, 600)[1]
    again = both(torch.cat([x[:600][order], x[600:]]), torch.cat([y[:600][order], y[600:]]), 600)[1]
    assert again.ridge == first.ridge
    assert again.weight == pytest.approx(first.weight, rel=1e-5, abs=1e-7)


def test_a_scale_and_a_shift_of_units_change_nothing():
    x, y = shuffled(load_breast_cancer)
    spread = torch.logspace(-3, 3, x.shape[1])
    first, again = (both(rows, y, 300)[1] for rows in (x, x * spread + 10 * spread))
    assert np.mean(first.correct != again.correct) <= 0.01


def test_a_class_without_rows_to_fit_is_never_read():
    x, y = torch.randn(80, 3, generator=torch.Generator().manual_seed(0)), torch.arange(80) % 2
    found = both(x, y, 60, k=3)[1]
    assert np.isneginf(found.bias[2])
    assert not found.confusion[:, 2].any()


def test_where_there_is_nothing_to_tell_apart_the_closed_form_stays():
    x, y = torch.randn(40, 3, generator=torch.Generator().manual_seed(0)), torch.zeros(40, dtype=torch.int64)
    closed, found = both(x, y, 30, k=2)
    assert found is closed
    closed, found = both(torch.ones(40, 3), torch.arange(40) % 2, 30)
    assert found is closed


def test_every_yes_no_label_has_its_own():
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(500, 6, generator=generator)
    y = (x[:, :3] + torch.randn(500, 3, generator=generator) > 0).float()
    closed, found = both(x, y, 300, finish=label_readouts, k=0)
    assert [label.reader for label in found.labels] == ["logistic"] * 3
    assert found.held_out == pytest.approx(np.mean([label.held_out for label in found.labels]))
    assert found.closed is closed


def test_read_outs_are_compared_by_the_same_reader():
    closed, found = both(*shuffled(load_breast_cancer), 200)
    other = both(*shuffled(load_breast_cancer, seed=1), 200)[0]
    assert alike(found, other) == (closed, other)
    assert alike(other, found) == (other, closed)
    assert alike(found, found) == (found, found)


def test_its_cost_grows_with_rows_units_and_classes():
    assert seconds(4000, 64, 10) < seconds(4000, 512, 10) < seconds(4000, 512, 1000)
    assert seconds(4096, 784, 10) < 2 < seconds(4096, 4096, 1000)
