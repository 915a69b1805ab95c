"""Concept erasure: equal class means, no linear probe beats a constant, and the smallest change that does so."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from unbend.errors import ShapeError
from unbend.numerics.erasure import erase, erase_random
from unbend.numerics.second import SecondState


def moments(x, y, k):
    return SecondState.of_rows(x, torch.nn.functional.one_hot(y, k).double())


def rows(n, d, k, seed=0):
    generator = torch.Generator().manual_seed(seed)
    y = torch.randint(0, k, (n,), generator=generator)
    mixing = torch.randn(d, d, generator=generator, dtype=torch.float64)
    centres = 2 * torch.randn(k, d, generator=generator, dtype=torch.float64)
    return (torch.randn(n, d, generator=generator, dtype=torch.float64) + centres[y]) @ mixing + 5, y


@given(st.integers(0, 30), st.integers(2, 5), st.integers(2, 9))
@settings(max_examples=25, deadline=None)
def test_class_means_are_equal_afterwards_whatever_the_rows(seed, k, d):
    x, y = rows(60, d, k, seed)
    found = erase(moments(x, y, k))
    after = found(x)
    means = torch.stack([after[y == label].mean(0) for label in range(k) if (y == label).any()])
    assert torch.allclose(means, after.mean(0).expand_as(means), atol=1e-8 * float(x.abs().max()))
    assert found.gap_left < 1e-9
    assert found.rank <= min(k - 1, d)


def test_a_logistic_probe_is_at_the_base_rate_on_the_rows_it_was_fitted_on():
    x, y = rows(600, 12, 4)
    base = np.bincount(y).max() / len(y)
    before = LogisticRegression(max_iter=2000).fit(x.numpy(), y)
    assert before.score(x.numpy(), y) > base + 0.4
    after = StandardScaler().fit_transform(erase(moments(x, y, 4))(x).numpy())
    probe = LogisticRegression(max_iter=2000, tol=1e-9).fit(after, y)
    assert np.abs(probe.coef_).max() < 1e-3
    assert probe.score(after, y) == pytest.approx(base)


def test_it_is_the_closed_form_of_the_paper():
    x, y = rows(300, 6, 3)
    found = erase(moments(x, y, 3))
    centred = (x - x.mean(0)).numpy()
    z = torch.nn.functional.one_hot(y, 3).double().numpy()
    values, vectors = np.linalg.eigh(centred.T @ centred / len(x))
    whiten, colour = (vectors @ np.diag(values**power) @ vectors.T for power in (-0.5, 0.5))
    cross = whiten @ centred.T @ (z - z.mean(0)) / len(x)
    projector = cross @ np.linalg.pinv(cross, rcond=1e-9)
    assert found(x).numpy() == pytest.approx(x.numpy() - centred @ (colour @ projector @ whiten).T, abs=1e-8)


@given(st.integers(0, 20))
@settings(max_examples=15, deadline=None)
def test_no_other_eraser_of_the_means_moves_the_rows_less(seed):
    x, y = rows(200, 5, 2, seed)
    found = erase(moments(x, y, 2))
    least = float(((found(x) - x) ** 2).sum())
    gap = (x[y == 0].mean(0) - x[y == 1].mean(0)).numpy()
    for other in np.random.default_rng(seed).standard_normal((20, 5)):
        projector = np.outer(gap, other) / (other @ gap)  # oblique, along the gap: it makes the means equal too
        moved = float((((x - x.mean(0)).numpy() @ projector.T) ** 2).sum())
        assert moved >= least * (1 - 1e-9)


def test_constant_units_and_a_layer_that_knows_nothing_are_left_as_they_are():
    x, y = rows(100, 4, 2)
    x[:, 1] = 3.0
    after = erase(moments(x, y, 2))(x)
    assert torch.equal(after[:, 1], x[:, 1])
    same = torch.cat([x[:50], x[:50]])
    found = erase(moments(same, torch.arange(2).repeat_interleave(50), 2))
    assert found.gap_left < 1e-9
    assert torch.allclose(found(same), same, rtol=1e-6)


def test_float32_rows_are_erased_in_float32_and_other_widths_are_refused():
    x, y = rows(200, 8, 3)
    found = erase(moments(x.float(), y, 3))
    after = found(x.float())
    assert after.dtype == torch.float32
    assert float((after[y == 0].mean(0) - after[y == 1].mean(0)).abs().max()) < 1e-3
    with pytest.raises(ShapeError, match="rows of 8"):
        found(x[:, :3])


def test_the_control_takes_as_many_directions_and_leaves_the_classes_apart():
    x, y = rows(400, 20, 3)
    second = moments(x, y, 3)
    control = erase_random(second, erase(second).rank)
    assert control.rank == 2
    assert control.gap_left > 0.5 * control.gap
    assert torch.linalg.matrix_rank(control(x) - control(x).mean(0), atol=1e-6) == 18
