"""The numbers of a snapshot are those of the measures of a study, on the same values."""

import numpy as np
import pytest
import torch
from tests.study.watch.runs import batches
from torch import nn
from torch.nn import functional as F

import unbend
from unbend.capture.live import Spot
from unbend.capture.taps import Tap
from unbend.numerics.activity import ActivityState, activity
from unbend.numerics.batch import batch, samples
from unbend.numerics.moments import MomentState, moments
from unbend.numerics.saturation import saturation
from unbend.numerics.second import SecondState
from unbend.numerics.spectrum import spectrum
from unbend.numerics.view import View
from unbend.study.watch.measure import codes, effective_rank, guesses, of_graphs, of_rows, of_sums, readout_accuracy
from unbend.study.watch.report import Reporter
from unbend.study.watch.settings import WatchSettings
from unbend.study.watch.sums import SpotTable, StepPlace, add_packed

ACTIVATIONS = {"relu": torch.relu, "tanh": torch.tanh, "sigmoid": torch.sigmoid, "gelu": F.gelu, "relu6": F.relu6}


def taken(values, pre, edges, view, parts=1):
    """What a spot adds up of values that come in some forward passes: the table, the spot and the numbers."""
    tap = Tap("a", "a", "", 0, "activation", "A", tuple(values.shape[1:]), view, saturation=edges)
    table = SpotTable([Spot(tap, "a")], StepPlace(torch.device("cpu")))
    sums = table.each[0]
    for x, z in zip(values.chunk(parts), pre.chunk(parts), strict=True):
        sums.add(x, z if edges is not None and edges.pre is not None else None)
    return table, sums, of_sums(table.unpack(table.pack()), np.array([edges is not None]))[0]


@pytest.mark.parametrize("name", ACTIVATIONS)
@pytest.mark.parametrize("parts", [1, 3])
def test_sums_give_what_moments_and_activity_give(name, parts):
    g = torch.Generator().manual_seed(0)
    act, edges = ACTIVATIONS[name], saturation(ACTIVATIONS[name])
    pre = torch.randn(96, 12, generator=g) * torch.linspace(0.1, 8, 12) + torch.linspace(-20, 20, 12)
    values, view = act(pre), View("features", "none", 12)
    _, _, numbers = taken(values, pre, edges, view, parts)
    full = edges if edges.pre is None else type(edges)(edges.low, edges.high, pre)
    b = batch(values, samples(torch.zeros(96, dtype=torch.int64)), view=view, saturation=full)
    m, a = moments(MomentState.of(b)), activity(ActivityState.of(b))
    assert numbers["rms"] == pytest.approx(m.rms, rel=1e-5)
    assert numbers["spread"] == pytest.approx(float(np.sqrt((m.std**2).mean())), rel=1e-4)
    assert numbers["silent"] == pytest.approx(a.silent.mean())
    assert numbers["dormant"] == pytest.approx(a.dormant.mean())
    assert numbers["saturated"] == pytest.approx(a.saturated.mean())
    assert numbers["zeros"] == pytest.approx(a.zero_share.mean())


@pytest.mark.parametrize("name", ACTIVATIONS)
@pytest.mark.parametrize("parts", [1, 3])
def test_a_graph_makes_the_same_numbers_and_begins_anew_in_each_step(name, parts):
    g = torch.Generator().manual_seed(0)
    act, edges = ACTIVATIONS[name], saturation(ACTIVATIONS[name])
    pre = torch.randn(96, 12, generator=g) * torch.linspace(0.1, 8, 12) + torch.linspace(-20, 20, 12)
    pre[5, 3] = torch.nan
    values, view = act(pre), View("features", "none", 12)
    known = taken(values, pre, edges, view, parts)[2]
    tap = Tap("a", "a", "", 0, "activation", "A", (12,), view, saturation=edges)
    at = StepPlace(torch.device("cpu"))
    table = SpotTable([Spot(tap, "a")], at)
    sums = table.each[0]
    for step in (0, 1, 600):
        at.move(step)
        assert table.numbers() is None
        for x, z in zip(values.chunk(parts), pre.chunk(parts), strict=True):
            sums.graph.add(x, z if edges.pre is not None else None, sums.plan)
        found = of_graphs(table.numbers(), np.array([True]))[0]
        assert found == pytest.approx(known, rel=1e-5)
        assert sums.n == 96
        assert of_sums(table.unpack(table.pack()), np.array([True]))[0] == pytest.approx(known, rel=1e-5)
        assert np.isnan(table.numbers()[0][-2])
        assert np.isnan(table.take_peaks()[0, step % 512])


VIEWS = {
    "features": (View("features", "none", 6), (6,)), "maps": (View("maps", "mean", 6), (6, 4, 5)),
    "maps by their greatest": (View("maps", "max", 6), (6, 4, 5)), "tokens": (View("tokens", "mean", 6), (7, 6)),
    "first tokens": (View("tokens", "cls", 6), (7, 6)),
}  # fmt: skip


@pytest.mark.parametrize("act", [torch.relu, torch.tanh, F.gelu])
@pytest.mark.parametrize("n", [40, 256, 300])
@pytest.mark.parametrize("name", VIEWS)
def test_a_graph_sees_of_every_layout_and_size_what_an_eager_pass_sees(name, n, act):
    g = torch.Generator().manual_seed(0)
    (view, shape), edges = VIEWS[name], saturation(act)
    pre = torch.randn(n, *shape, generator=g).mul_(3)
    pre[:, 0] -= 20 if shape[0] == 6 else 0
    values = act(pre)
    _, eager, known = taken(values, pre, edges, view)
    tap = Tap("a", "a", "", 0, "activation", "A", shape, view, saturation=edges)
    table = SpotTable([Spot(tap, "a")], StepPlace(torch.device("cpu")))
    sums = table.each[0]
    sums.graph.add(values, pre if edges.pre is not None else None, sums.plan)
    assert of_graphs(table.numbers(), np.array([True]))[0] == pytest.approx(known, rel=1e-5)
    torch.testing.assert_close(sums.rows, eager.rows)
    assert table.numbers()[0][-2] == pytest.approx(float(values.double().sum()), rel=1e-4)
    seen = table.take_peaks()
    assert seen[0, 0] == pytest.approx(float(values.double().sum()), rel=1e-4)


def test_the_sum_of_a_step_without_a_snapshot_is_kept_among_the_peaks():
    at = StepPlace(torch.device("cpu"))
    tap = Tap("a", "a", "", 0, "activation", "A", (2,), View("features", "none", 2), saturation=saturation(torch.relu))
    table = SpotTable([Spot(tap, "a")], at)
    sums = table.each[0]
    sums.graph.add(torch.tensor([[1.0, torch.inf]]), None, sums.plan)
    table.keep_totals()
    at.move(1)
    sums.graph.add(torch.ones(1, 2), None, sums.plan)
    assert table.take_peaks()[0, :3].tolist() == [np.inf, 2.0, 0.0]


@pytest.mark.parametrize("layout", ["maps", "tokens"])
def test_positions_count_and_rows_are_their_mean(layout):
    g = torch.Generator().manual_seed(0)
    values = torch.relu(torch.randn(32, 5, 7, generator=g))
    view = View("maps", "mean", 5) if layout == "maps" else View("tokens", "mean", 7)
    table, sums, found = taken(values, values, saturation(torch.relu), view)
    axis = 2 if layout == "maps" else 1
    torch.testing.assert_close(sums.rows[:32], values.mean(axis))
    assert table.unpack(table.pack()).count == 32 * values.shape[axis]
    assert found["zeros"] == pytest.approx(float((values == 0).double().mean()))


@pytest.mark.parametrize("act", [torch.relu, torch.tanh])
@pytest.mark.parametrize("order", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("size", [3, 20])
def test_maps_of_many_blocks_and_of_any_order_in_memory_give_what_one_read_gives(act, order, size):
    g = torch.Generator().manual_seed(0)
    pre = torch.randn(200, 6, size, size, generator=g).mul_(3).contiguous(memory_format=order)
    values, view = act(pre), View("maps", "mean", 6)
    _, _, found = taken(values, pre, saturation(act), view)
    units = values.double().transpose(0, 1).flatten(1)
    assert found["rms"] == pytest.approx(float(units.square().mean().sqrt()), rel=1e-5)
    assert found["spread"] == pytest.approx(float(units.var(1, correction=0).mean().sqrt()), rel=1e-4)
    assert found["zeros"] == pytest.approx(float((units == 0).double().mean()))
    assert found["silent"] == 0
    edges = saturation(act)
    flat = (units <= edges.low) | (units >= edges.high) if edges.pre is None else units.abs() > 1
    assert found["saturated"] == pytest.approx(float((flat.double().mean(1) >= 0.95).double().mean()))


def test_a_unit_that_is_not_finite_counts_nothing():
    values = torch.rand(16, 4)
    values[3, 1] = torch.nan
    found = taken(values, values, None, View("features", "none", 4))[2]
    kept = values[:, [0, 2, 3]]
    assert found["rms"] == pytest.approx(float(kept.square().mean().sqrt()), rel=1e-5)
    values[3, 1], values[4, 1] = torch.inf, -torch.inf
    found = taken(values, values, None, View("features", "none", 4))[2]
    assert found["rms"] == pytest.approx(float(kept.square().mean().sqrt()), rel=1e-5)
    assert taken(values * torch.nan, values, None, View("features", "none", 4))[2] == {}


def test_packed_sums_of_ranks_are_those_of_all_rows():
    g = torch.Generator().manual_seed(0)
    values, view = torch.relu(torch.randn(64, 6, generator=g)), View("features", "none", 6)
    edges = saturation(torch.relu)
    whole = taken(values, values, edges, view)[0]
    parts = [taken(part, part, edges, view)[0].pack() for part in values.chunk(2)]
    np.testing.assert_allclose(add_packed(parts, 6), whole.pack(), rtol=1e-6)


def test_effective_rank_is_that_of_a_study():
    g = torch.Generator().manual_seed(0)
    x = torch.randn(200, 10, generator=g, dtype=torch.float64) * torch.arange(1, 11)
    known = spectrum(SecondState.of_rows(x, torch.zeros(200, 1, dtype=torch.float64))).effective_rank
    assert effective_rank(x) == pytest.approx(known, rel=1e-9)
    assert effective_rank(x.repeat(1, 30)) == pytest.approx(known, rel=1e-6)
    assert effective_rank(torch.full((20, 3), 0.1, dtype=torch.float64)) == 0


def test_a_read_out_finds_what_is_there_and_nothing_in_noise():
    rng = np.random.default_rng(0)
    y = np.arange(240) % 3
    assert readout_accuracy(np.eye(3)[y] + 0.1 * rng.standard_normal((240, 3)), y) == 1
    assert readout_accuracy(rng.standard_normal((240, 64)), y) == pytest.approx(1 / 3, abs=0.1)
    assert np.isnan(readout_accuracy(np.zeros((2, 2)), np.array([0, 1])))


def test_labels_are_known_in_the_forms_they_come_in():
    assert codes(torch.tensor([2, 0, 1]), 2).tolist() == [2, 0]
    assert codes(torch.tensor([[1.0], [0.0]] * 4), 8).tolist() == [1, 0] * 4
    assert codes(torch.eye(3), 3).tolist() == [0, 1, 2]
    assert codes(torch.tensor([[0.2, 0.8], [0.7, 0.3]]), 2).tolist() == [1, 0]
    assert codes(torch.rand(8), 8) is None
    assert codes(torch.tensor([[1.0, 1.0, 0.0], [0.0, 0.0, 0.0]]), 2) is None, "several classes of one sample, or none"
    assert codes(torch.randn(8, 3), 8) is None, "a target of three numbers"
    assert codes(torch.zeros(4, 7, dtype=torch.int64), 4) is None
    assert codes(None, 3) is None


def test_outputs_name_classes():
    assert guesses(torch.tensor([[0.2, 0.8], [3.0, 1.0]]), 2).tolist() == [1, 0]
    assert guesses(torch.tensor([[0.2], [0.8]]), 2).tolist() == [0, 1]
    assert guesses(torch.tensor([[-2.0], [0.3]]), 2).tolist() == [0, 1]
    assert guesses(torch.tensor([[0.2], [0.8]]), 2, is_logit=True).tolist() == [1, 1]
    assert guesses(torch.full((2, 2), torch.nan), 2) is None


def test_too_few_rows_say_nothing():
    assert of_rows(torch.zeros(3, 4), None) == {}
    assert of_rows(torch.full((9, 4), torch.nan), None) == {}
    assert "readout" not in of_rows(torch.rand(9, 4), np.zeros(9, np.int64))


def test_memory_does_not_grow_with_steps():
    model = nn.Sequential(nn.Linear(20, 8), nn.ReLU(), nn.Linear(8, 3))
    optimiser = torch.optim.SGD(model.parameters(), 0.01)
    with unbend.watch(model, every=10**9) as watch:
        for x, y in batches(40):
            optimiser.zero_grad()
            loss = F.cross_entropy(model(x), y)
            loss.backward()
            watch.log(loss=loss)
            optimiser.step()
    assert len(watch.history.snapshots) == 1
    assert all(
        tensor.numel() < 10**5
        for sums in watch._reporter._sums
        for tensor in (sums.graph.table, sums.rows, sums.graph.peaks)
    )


def test_what_was_read_wrongly_fades_from_the_recall():
    reporter = Reporter(nn.Linear(2, 2), (), WatchSettings())
    wrong, right = torch.tensor([[5.0, 0.0], [5.0, 0.0]]), 5 * torch.eye(2)
    found = [reporter._own(rows, np.array([0, 1]), is_logit=True) for rows in (wrong, right, right)]
    assert [one["accuracy"] for one in found] == [0.5, 1.0, 1.0]
    assert [one["recall"] for one in found] == pytest.approx([0, 1 / 1.8, 1.8 / 2.44])
