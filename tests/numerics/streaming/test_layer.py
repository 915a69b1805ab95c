"""What all layers share of a batch, and the rows that are held: against the plain way, and by brute force."""

import numpy as np
import pytest
import torch

from unbend.errors import DataError, ShapeError
from unbend.numerics.batch import batch, samples
from unbend.numerics.hashing import hashes
from unbend.numerics.sample import SampleState
from unbend.numerics.second import SecondState
from unbend.numerics.streaming.bottom_k import highest
from unbend.numerics.streaming.choose import Chooser, Selection
from unbend.numerics.streaming.in_place import KINDS
from unbend.numerics.streaming.layer import LayerSums
from unbend.numerics.view import View
from unbend.numerics.views import reduce

N, D, K = 5000, 6, 3
ROWS = (*KINDS, SecondState, SampleState)


def data(n=N):
    draw = torch.Generator().manual_seed(0)
    return torch.randn(n, D, generator=draw) + 100, torch.randint(0, K, (n,), generator=draw)


def summed(selection, x, y, *, ids=None, size=512, kinds=ROWS, skip=(), n_classes=K):
    """The States of one layer; batches in `skip` pass it by."""
    choose = Chooser(selection, kinds, n_classes)
    sums = LayerSums(kinds, View("features", "none", D), choose)
    ids = np.arange(len(x)) if ids is None else ids
    for i, start in enumerate(range(0, len(x), size)):
        part = slice(start, start + size)
        of = choose(y[part], ids[part])
        if i not in skip:
            sums.add(x[part], of)
    return choose, sums.states()


@pytest.mark.parametrize("y", [torch.tensor([2, 0, 1, 0]), torch.tensor([2, 0, 1, 0], dtype=torch.int32)])
def test_a_chooser_prepares_what_samples_prepares(y):
    ids = np.array([7, 3, 2**40, 0])
    ours, plain = Chooser(Selection(), (), K)(y, ids), samples(y, n_classes=K, ids=ids)
    for name in ("y", "ids", "codes"):
        assert np.array_equal(getattr(ours, name), getattr(plain, name)), name
    assert np.array_equal(ours.groups.order, plain.groups.order)
    assert np.array_equal(ours.groups.starts, plain.groups.starts)
    assert ours.n_classes == plain.n_classes


def test_labels_that_are_no_classes_are_refused_as_ever():
    choose = Chooser(Selection(), (), K)
    with pytest.raises(DataError, match="class indices in"):
        choose(torch.tensor([0, 3]), np.arange(2))
    with pytest.raises(ShapeError, match="one row number for each"):
        choose(torch.tensor([0, 1]), np.arange(3))


@pytest.mark.parametrize("told", [N, None, 700])
@pytest.mark.parametrize("size", [1, 64, 300])
@pytest.mark.parametrize("rows", [1, 97, N])
def test_the_row_sample_is_the_rows_of_least_hash(told, size, rows):
    x, y = data()
    if rows == 1:
        x, y = x[:800], y[:800]
        told = 800 if told == N else told
    _, found = summed(Selection(1.0, size, told), x, y, size=rows, kinds=(SampleState,))
    least = np.argsort(hashes(np.arange(len(x))))[:size]
    assert np.array_equal(found["SampleState"].ids, least)
    rows_of, targets = found["SampleState"].table()
    assert np.array_equal(rows_of, x[least])
    assert np.array_equal(targets.argmax(1), y[least])


def test_any_order_of_batches_gives_the_same_sample():
    x, y = data()
    order = torch.randperm(N, generator=torch.Generator().manual_seed(1))
    _, a = summed(Selection(1.0, 100, N), x, y)
    _, b = summed(Selection(1.0, 100, N), x[order], y[order], ids=order.numpy())
    assert np.array_equal(a["SampleState"].ids, b["SampleState"].ids)
    assert np.array_equal(a["SampleState"].table()[0], b["SampleState"].table()[0])


@pytest.mark.parametrize(("rate", "size", "is_held"), [(1 / 16, 400, True), (1 / 4, 400, False), (1.0, 400, False)])
def test_second_moments_are_of_the_rows_below_the_rate_held_or_streamed(rate, size, is_held):
    x, y = data()
    x[17, 2] = float("nan")
    choose, found = summed(Selection(rate, size, N), x, y)
    assert choose.holds_second == is_held
    chosen = hashes(np.arange(N)) <= np.uint64(highest(rate))
    good = chosen & torch.isfinite(x).all(1).numpy()
    second = found["SecondState"]
    assert (second.n, second.lost) == (good.sum(), chosen.sum() - good.sum())
    rows = x[good].double().numpy()
    np.testing.assert_allclose(second.mean, rows.mean(0), rtol=1e-13)
    np.testing.assert_allclose(second.gram, np.cov(rows.T, bias=True) * len(rows), rtol=1e-9, atol=1e-9)
    one_hot = np.eye(K)[y[good].numpy()]
    expected = (rows - rows.mean(0)).T @ (one_hot - one_hot.mean(0))
    np.testing.assert_allclose(second.cross, expected, rtol=1e-9, atol=1e-9)


def test_few_rows_are_all_held():
    x, y = data(200)
    choose, found = summed(Selection(1.0, 400, 200), x, y)
    assert choose.holds_second
    assert found["SecondState"].n == len(found["SampleState"].ids) == 200


def test_a_layer_that_is_passed_by_has_the_rows_it_saw():
    x, y = data()
    _, found = summed(Selection(1 / 16, 400, N), x, y, skip=(0, 4))
    codes, there = hashes(np.arange(N)), np.ones(N, bool)
    there[:512] = there[4 * 512 : 5 * 512] = False
    assert set(found["SampleState"].ids) <= set(np.flatnonzero(there))
    assert found["SecondState"].n == (there & (codes <= np.uint64(highest(1 / 16)))).sum()
    assert found["MomentState"].n == there.sum()


def test_targets_are_held_as_labels_are():
    x, y = data(), torch.randn(N, 2, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    _, found = summed(Selection(1 / 16, 400, N), x[0], y, n_classes=0)
    sample = found["SampleState"]
    assert np.array_equal(sample.table()[1], y[sample.ids])
    chosen = hashes(np.arange(N)) <= np.uint64(highest(1 / 16))
    np.testing.assert_allclose(found["SecondState"].y_mean, y[chosen].mean(0), rtol=1e-12)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_other_types_of_rows_give_the_same_states(dtype):
    x, y = data()
    x = x.to(dtype)
    _, found = summed(Selection(1 / 16, 400, N), x, y)
    _, expected = summed(Selection(1 / 16, 400, N), x.float() if dtype == torch.bfloat16 else x.double(), y)
    np.testing.assert_allclose(found["SecondState"].gram, expected["SecondState"].gram, rtol=1e-9, atol=1e-9)
    got, rows = (state["SampleState"].table()[0] for state in (found, expected))
    assert got.dtype == rows.dtype
    assert np.array_equal(got, rows)


def test_rows_whose_sums_overflow_are_held_and_summed_the_slow_way():
    x, y = data(300)
    x[5, 1] = float("inf")
    _, found = summed(Selection(1.0, 400, 300), x, y, size=100)
    expected = [kind.of(batch(x, samples(y, n_classes=K))) for kind in KINDS]
    assert found["MomentState"].nonfinite.sum() == expected[0].nonfinite.sum() == 1
    np.testing.assert_allclose(found["MomentState"].total, expected[0].total, rtol=1e-9)
    assert len(found["SampleState"].ids) == 300
    assert (found["SecondState"].n, found["SecondState"].lost) == (299, 1)


@pytest.mark.parametrize("kinds", [ROWS, (SampleState,), (SecondState, SampleState)])
def test_rows_that_change_their_width_are_refused_by_name(kinds):
    x, y = data(100)
    choose = Chooser(Selection(), kinds, K)
    sums = LayerSums(kinds, View("features", "none", D), choose, "block.3")
    sums.add(x[:50], choose(y[:50], np.arange(50)))
    for wrong in (x[50:, :4], torch.cat([x[50:], x[50:]], 1)):
        with pytest.raises(ShapeError, match=r"layer 'block.3': its rows have 6 numbers in one batch and (4|12) in"):
            sums.add(wrong.contiguous(), choose(y[50:], np.arange(50, 100)))


def test_wide_rows_are_sketched_and_their_units_are_not():
    x, y = data(100)
    choose = Chooser(Selection(1.0, 400, 100), ROWS, K)
    view = View("features", "none", D, sketch=2)
    sums = LayerSums(ROWS, view, choose)
    for part in (slice(0, 50), slice(50, 100)):
        sums.add(x[part], choose(y[part], np.arange(100)[part]))
    found = sums.states()
    np.testing.assert_allclose(found["MomentState"].total, x.double().sum(0), rtol=1e-12)
    sample = found["SampleState"]
    assert np.array_equal(sample.table()[0], reduce(x, view)[sample.ids])
    assert found["SecondState"].mean.shape == (2,)


def test_a_tensor_with_too_few_rows_is_refused():
    x, y = data(100)
    choose = Chooser(Selection(), ROWS, K)
    sums = LayerSums(ROWS, View("features", "none", D), choose)
    with pytest.raises(ShapeError, match="expected 100 samples"):
        sums.add(x[:99], choose(y, np.arange(100)))


@pytest.mark.parametrize("rule", ["mean", "flatten"])
def test_positions_may_change_only_where_rows_keep_their_width(rule):
    choose = Chooser(Selection(), ROWS, K)
    sums = LayerSums(ROWS, View("tokens", rule, D), choose, "block.3")
    y, ids = torch.tensor([0, 1]), np.arange(4)
    sums.add(torch.ones(2, 5, D), choose(y, ids[:2]))
    longer = torch.ones(2, 7, D), choose(y, ids[2:])
    if rule == "mean":
        sums.add(*longer)
        assert sums.states()["MomentState"].count[0] == 2 * 5 + 2 * 7
    else:
        with pytest.raises(ShapeError, match="rows have 30 numbers in one batch and 42 in another"):
            sums.add(*longer)


def test_flattened_positions_may_change_where_they_are_sketched_to_one_width():
    choose = Chooser(Selection(), ROWS, K)
    sums = LayerSums(ROWS, View("tokens", "flatten", D, sketch=4), choose)
    x, y, ids = torch.randn(2, 7, D), torch.tensor([0, 1]), np.arange(4)
    padded = torch.cat([x[:, :5], torch.zeros(2, 2, D)], 1)
    sums.add(x[:, :5], choose(y, ids[:2]))
    sums.add(padded, choose(y, ids[2:]))
    sample = sums.states()["SampleState"]
    order = np.argsort(sample.ids)
    rows = sample.table()[0][order]
    np.testing.assert_allclose(rows[:2], rows[2:], rtol=1.3e-6, atol=1e-5)


def test_a_tensor_may_be_overwritten_as_soon_as_it_is_added():
    x, y = data(100)
    before = summed(Selection(1.0, 60, 100), x, y)[1]
    choose = Chooser(Selection(1.0, 60, 100), ROWS, K)
    sums, written = LayerSums(ROWS, View("features", "none", D), choose), x.clone()
    sums.add(written, choose(y, np.arange(100)))
    written.fill_(float("nan"))
    after = sums.states()
    assert np.array_equal(before["MomentState"].m2, after["MomentState"].m2)
    assert np.array_equal(before["SecondState"].gram, after["SecondState"].gram)
    assert np.array_equal(before["SampleState"].table()[0], after["SampleState"].table()[0])
