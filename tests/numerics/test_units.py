"""Units: the compiled sums against the plain ones, extremes by brute force, shares that add up."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.numerics.laws import assert_same

from unbend.numerics.batch import batch, samples
from unbend.numerics.units import KEPT, Extremes, UnitState, UnitSums, tuning, units
from unbend.numerics.view import View
from unbend.zoo.randomness import threads

VIEWS = [
    (View("features", "none", 5), (5,)),
    (View("maps", "mean", 4), (4, 3, 2)),
    (View("tokens", "mean", 6), (4, 6)),
]


def world(view, shape, n, k, seed, *, coarse):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(n, *shape, generator=generator)
    x = x.round() if coarse else x  # many ties
    return x, torch.randint(k, (n,), generator=generator), view


@given(st.sampled_from(VIEWS), st.integers(1, 60), st.integers(0, 99), st.booleans())
@settings(max_examples=40, deadline=None)
def test_the_compiled_sums_are_those_of_the_state(form, n, seed, coarse):
    x, y, view = world(*form, n, 3, seed, coarse=coarse)
    order = np.random.default_rng(seed).permutation(n)
    sums, states = UnitSums(), UnitState.empty(view.width, 3)
    for rows in np.array_split(order, 3):
        part = batch(x[rows], samples(y[rows], n_classes=3, ids=rows + 10), view=view)
        sums.add(part)
        states += UnitState.of(part)
    total = UnitState.empty(view.width, 3)
    for state in sums.states():
        total += state
    assert_same(total, states)


@given(st.integers(1, 40), st.integers(0, 99), st.booleans())
@settings(max_examples=30, deadline=None)
def test_extremes_are_the_greatest_and_the_least_by_brute_force(n, seed, coarse):
    x, y, view = world(View("maps", "mean", 4), (4, 3, 2), n, 2, seed, coarse=coarse)
    state = UnitState.of(batch(x, samples(y, n_classes=2), view=view))
    flat = x.flatten(2).numpy()
    for unit in range(4):
        best = flat[:, unit].max(1)
        wanted = sorted(range(n), key=lambda i: (-best[i], i))[:KEPT]
        assert state.high.ids[unit][: len(wanted)].tolist() == wanted
        assert np.all(flat[wanted, unit, state.high.place[unit][: len(wanted)]] == best[wanted])
        least = sorted(range(n), key=lambda i: (best[i], i))[:KEPT]
        assert state.low.ids[unit][: len(least)].tolist() == least
        assert np.all(state.high.ids[unit][len(wanted) :] == -1)


def test_what_is_not_finite_goes_the_plain_way_and_is_no_example():
    x = torch.tensor([[1.0, torch.nan], [torch.inf, 2.0], [3.0, 4.0]])
    part = batch(x, samples(torch.tensor([0, 1, 1]), n_classes=2))
    sums = UnitSums()
    sums.add(part)
    (state,) = sums.states()
    assert state.high.ids[0, :2].tolist() == [2, 0]
    assert state.high.ids[1, :2].tolist() == [2, 1]
    assert state.count.tolist() == [[1, 0], [1, 2]]


@pytest.mark.parametrize("n_threads", [1, 2])
def test_holes_ties_and_rows_in_any_order_of_a_wide_layer_are_added_as_by_the_state(n_threads):
    generator = torch.Generator().manual_seed(3)
    x = torch.randn(400, 300, generator=generator).mul(4).round().relu()
    x[torch.randint(400, (60,), generator=generator), torch.randint(300, (60,), generator=generator)] = torch.nan
    x[7, 290], x[9, 290], x[200, 3] = torch.inf, -torch.inf, torch.inf
    y, order = torch.randint(3, (400,), generator=generator), torch.randperm(400, generator=generator).numpy()
    sums, states = UnitSums(), UnitState.empty(300, 3)
    with threads(n_threads):
        for rows in np.array_split(order, 4):
            part = batch(x[rows], samples(y[rows], n_classes=3, ids=rows))
            sums.add(part)
            states += UnitState.of(part)
    (state,) = sums.states()
    assert_same(state, states)
    assert state.count.sum() == torch.isfinite(x).sum()


@pytest.mark.parametrize("n_threads", [1, 2])
@pytest.mark.parametrize("layout", ["tokens", "maps"])
def test_answers_over_many_positions_are_the_first_greatest_of_those_that_count(n_threads, layout):
    generator = torch.Generator().manual_seed(5)
    x = torch.randn(9, 300, 70, generator=generator).mul(2).round()  # many are equal
    mask = torch.rand(9, 300, generator=generator) < 0.5 if layout == "tokens" else None
    if mask is not None:
        x[~mask] = torch.nan  # a token that does not count may hold anything
    part = batch(
        x,
        samples(torch.arange(9) % 2, n_classes=2),
        view=View(layout, "mean", 70 if mask is not None else 300),
        mask=mask,
    )
    sums = UnitSums()
    with threads(n_threads):
        sums.add(part)
    (state,) = sums.states()
    assert sums._rest is None  # it was added by compiled code
    assert_same(state, UnitState.of(part))
    assert np.array_equal(state.high.place[:, 0], UnitState.of(part).high.place[:, 0])


@pytest.mark.parametrize("layout", ["tokens", "maps"])
def test_a_value_that_is_not_finite_among_positions_that_count_sends_the_batch_the_plain_way(layout):
    x = torch.randn(6, 20, 20, generator=torch.Generator().manual_seed(6))
    x[1, 3, 4], x[2, 5, 6], x[4, 7, 8] = torch.nan, torch.inf, -torch.inf
    part = batch(x, samples(torch.arange(6) % 2, n_classes=2), view=View(layout, "mean", 20))
    sums = UnitSums()
    sums.add(part)
    (state,) = sums.states()
    assert_same(state, UnitState.of(part))


def test_shares_and_means_are_those_of_the_rows():
    x, y, view = world(View("features", "none", 5), (5,), 300, 3, 0, coarse=False)
    found = units(UnitState.of(batch(x, samples(y, n_classes=3), view=view)), x.numpy(), x.numpy())
    rows = x.double().numpy()
    assert found.rate == pytest.approx((rows > 0).mean(0))
    for c in range(3):
        mine = rows[y == c]
        assert found.mean[c] == pytest.approx(mine.mean(0))
        assert found.spread[c] == pytest.approx(mine.std(0))
        assert found.class_rate[c] == pytest.approx((mine > 0).mean(0))
    means = found.mean[y]
    assert found.selectivity == pytest.approx(
        ((means - rows.mean(0)) ** 2).sum(0) / ((rows - rows.mean(0)) ** 2).sum(0)
    )
    assert tuning(x.numpy(), x.numpy()) == pytest.approx(np.corrcoef(rows.T))
    assert found.column.tolist() == list(range(5))
    assert found.column_r == pytest.approx(np.ones(5))


def test_planted_units_are_told_of_a_class_a_column_and_a_copy():
    generator = torch.Generator().manual_seed(0)
    y = torch.arange(400) % 4
    inputs = torch.randn(400, 6, generator=generator)
    h = torch.randn(400, 5, generator=generator)
    h[:, 1] = (y == 2).float() + 0.05 * h[:, 1]
    h[:, 2] = 3 * inputs[:, 4] - 1
    h[:, 4] = -2 * h[:, 3] + 7
    found = units(UnitState.of(batch(h, samples(y, n_classes=4))), h.numpy(), inputs.numpy())
    assert found.selectivity.argmax() == 1
    assert (found.best_class[1], found.contrast[1] > 5) == (2, True)
    assert (found.column[2], found.column_r[2]) == (4, pytest.approx(1))
    assert (found.copy[3], found.copy[4]) == (4, 3)
    assert found.copy_r[3] == pytest.approx(-1)
    assert abs(found.copy_r[0]) < 0.3


def test_constant_units_have_no_copies_and_explain_nothing():
    h = torch.ones(50, 3) * torch.tensor([2.0, 0.1, -1e6])
    found = units(UnitState.of(batch(h, samples(torch.arange(50) % 2, n_classes=2))), h.numpy(), h.numpy())
    assert found.selectivity.tolist() == [0, 0, 0]
    assert found.copy.tolist() == [-1, -1, -1]
    assert found.column_r.tolist() == [0, 0, 0]


def test_an_empty_list_of_extremes_is_the_identity():
    one = Extremes.of(np.array([[3.0, 1.0]]), np.array([4, 2]), np.zeros((1, 2), np.int64))
    assert_same(one + Extremes.empty(1), one)
