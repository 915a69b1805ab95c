"""Loops of every kind: what is told of a step is what happened in it, and the weights are those of a run without."""

import copy
import pickle
import threading
from contextlib import ExitStack, nullcontext

import numpy as np
import pytest
import torch
from tests.study.watch.runs import batches, is_same, perceptron
from torch import nn
from torch.nn import functional as F
from torch.optim.optimizer import _global_optimizer_post_hooks

import unbend
from unbend.errors import DataError, RecordError, UnbendError
from unbend.study.watch import parameters
from unbend.study.watch.measure import effective_rank
from unbend.study.watch.settings import WatchSettings
from unbend.study.watch.watch import _number


def stack(seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(20, 16), nn.ReLU(), nn.Linear(16, 8), nn.Tanh(), nn.Linear(8, 3))


def norm(parameters):
    return float(
        torch.cat([p.grad.flatten().abs() for p in parameters if p.grad is not None]).norm(dtype=torch.float64)
    )


def both(run, make=stack, **how):
    """The watch of a run that ends as the same run without one does, and what the run gave back."""
    one, other = make(), make()
    torch.manual_seed(5)
    run(one, None)
    after = torch.rand(3)
    torch.manual_seed(5)
    with unbend.watch(other, **({"every": 1, "budget": None} | how)) as watch:
        found = run(other, watch)
    assert torch.equal(after, torch.rand(3))
    assert is_same(one, other)
    return watch, found


def fit(model, optimiser, data, *, clip=True, loss=F.cross_entropy, watch=None):
    """Train, and say what the gradients' norms were before clipping."""
    norms = []
    for x, y in data:
        optimiser.zero_grad()
        loss(model(x), y).backward()
        norms.append(norm(model.parameters()))
        if clip:
            nn.utils.clip_grad_norm_(model.parameters(), 1e-2)
        if watch is not None:
            watch.label(y)
        optimiser.step()
    return norms


class Duel(nn.Module):
    """Two networks in one module, each with an optimiser of its own."""

    def __init__(self):
        torch.manual_seed(0)
        super().__init__()
        self.maker = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 20))
        self.judge = nn.Sequential(nn.Linear(20, 16), nn.LeakyReLU(), nn.Linear(16, 1))

    def forward(self, z):
        return self.judge(self.maker(z))


@pytest.mark.parametrize("is_on_host", [True, False])
def test_several_optimisers_of_one_model_take_one_step_together(is_on_host, monkeypatch):
    if not is_on_host:
        monkeypatch.setattr(parameters, "_is_plain", lambda _tensor: False)

    def run(model, _):
        first, second = torch.optim.SGD(model[:3].parameters(), 0.1), torch.optim.AdamW(model[4:].parameters(), 1e-2)
        norms = []
        for x, y in batches(6):
            model.zero_grad()
            F.cross_entropy(model(x), y).backward()
            norms.append(norm(model.parameters()))
            first.step()
            second.step()
        return norms

    watch, norms = both(run)
    assert watch.history.steps.tolist() == [1, 2, 3, 4, 5, 6]
    np.testing.assert_allclose(watch.history.value("gradient"), norms, rtol=1e-5)
    assert np.isnan(watch.history.layer("4", "update")[0])  # nobody knew yet that a second one would step
    assert all((watch.history.layer(name, "update")[1:] > 0).all() for name in ("0", "2", "4"))
    assert not [one for one in watch.findings if one.finding.rule == "unchanged_weights"]


def test_of_two_networks_in_a_duel_each_is_told_by_its_own_pass():
    def run(model, _):
        makers, judges = (torch.optim.Adam(part.parameters(), 1e-3) for part in (model.maker, model.judge))
        norms, ones = [], torch.ones(32, 1)
        loss = F.binary_cross_entropy_with_logits
        for x, _ in batches(6):
            judges.zero_grad()
            (loss(model.judge(x), ones) + loss(model(x[:, :4]), 0 * ones)).backward()
            norms.append([norm(model.judge.parameters())])
            judges.step()
            makers.zero_grad()
            loss(model(x[:, :4]), ones).backward()
            norms[-1].append(norm(model.maker.parameters()))
            makers.step()
        return np.array(norms)

    watch, norms = both(run, Duel)
    h = watch.history
    assert h.steps.tolist() == [1, 2, 3, 4, 5, 6]
    for i, part in enumerate(("judge", "maker")):
        found = np.hypot(h.layer(f"{part}.0", "gradient"), h.layer(f"{part}.2", "gradient"))
        np.testing.assert_allclose(found[1:], norms[1:, i], rtol=1e-5)
        assert (h.layer(f"{part}.0", "update")[1:] > 0).all()
    assert not watch.findings


@pytest.mark.parametrize("is_new", [True, False])
def test_layers_that_are_unfrozen_in_the_middle_are_seen_from_that_step_on(is_new):
    def run(model, _):
        model[:3].requires_grad_(False)
        head = torch.optim.Adam(model[4:].parameters() if is_new else model.parameters(), 1e-2)
        norms = fit(model, head, batches(3))
        model.requires_grad_(True)
        return norms + fit(model, torch.optim.Adam(model.parameters()) if is_new else head, batches(4, seed=2))

    watch, norms = both(run)
    np.testing.assert_allclose(watch.history.value("gradient"), norms, rtol=1e-5)
    assert np.isfinite(watch.history.layer("0", "gradient")).tolist() == [False] * 3 + [True] * 4


class Apart(nn.Module):
    """Parameters of one module, the last of which takes no part."""

    def __init__(self):
        torch.manual_seed(0)
        super().__init__()
        self.weight, self.unused = nn.Parameter(torch.randn(20, 3) / 9), nn.Parameter(torch.zeros(3))

    def forward(self, x):
        return x @ self.weight


def test_a_pass_that_reaches_some_parameters_alone_is_heard_before_clipping():
    watch, norms = both(lambda model, _: fit(model, torch.optim.SGD(model.parameters(), 0.1), batches(3)), Apart)
    np.testing.assert_allclose(watch.history.value("gradient"), norms, rtol=1e-5)

    def penalised(model, _):
        optimiser, norms = torch.optim.SGD(model.parameters(), 0.1), []
        for x, y in batches(3):
            optimiser.zero_grad()
            F.cross_entropy(model(x), y).backward()
            (0.1 * sum(p.abs().sum() for p in model.parameters() if p.ndim == 2)).backward()
            norms.append(norm(model.parameters()))
            nn.utils.clip_grad_norm_(model.parameters(), 1e-2)
            optimiser.step()
        return norms

    watch, norms = both(penalised)
    np.testing.assert_allclose(watch.history.value("gradient"), norms, rtol=1e-5)


def test_a_backward_pass_that_fails_leaves_the_next_ones_heard():
    def run(model, _):
        optimiser, norms = torch.optim.SGD(model.parameters(), 0.1), []
        for i, (x, y) in enumerate(batches(4)):
            optimiser.zero_grad()
            hidden = model[0](x)
            if i == 1:
                hidden.register_hook(lambda _: 1 / 0)
            loss = F.cross_entropy(model[1:](hidden), y)
            if i == 1:
                with pytest.raises(ZeroDivisionError):
                    loss.backward()
                continue
            loss.backward()
            norms.append(norm(model.parameters()))
            nn.utils.clip_grad_norm_(model.parameters(), 1e-2)
            optimiser.step()
        return norms

    watch, norms = both(run, example=torch.zeros(4, 20))
    np.testing.assert_allclose(watch.history.value("gradient"), norms, rtol=1e-5)


def test_steps_inside_of_the_backward_pass_are_one_step_with_the_gradients_they_took():
    def run(model, _):
        optimisers, norms, squares = {p: torch.optim.SGD([p], 0.1) for p in model.parameters()}, [], []

        def step(p):
            squares.append(float(p.grad.square().sum()))
            optimisers[p].step()
            optimisers[p].zero_grad()

        handles = [p.register_post_accumulate_grad_hook(step) for p in model.parameters()]
        for x, y in batches(5):
            F.cross_entropy(model(x), y).backward()
            norms.append(sum(squares) ** 0.5)
            squares.clear()
        for handle in handles:
            handle.remove()
        return norms

    watch, norms = both(run)
    assert watch.history.steps.tolist() == [1, 2, 3, 4, 5]
    np.testing.assert_allclose(watch.history.value("gradient")[1:], norms[1:], rtol=1e-5)
    assert not watch.findings


def test_an_optimiser_that_puts_other_tensors_in_place_is_seen_to_move():
    def run(model, watch):
        class Plain(torch.optim.Optimizer):
            @torch.no_grad()
            def step(self):
                for p in self.param_groups[0]["params"]:
                    p.data = p.data - 0.1 * p.grad

        optimiser, moved = Plain(model.parameters(), {}), []
        for x, y in batches(3):
            optimiser.zero_grad()
            F.cross_entropy(model(x), y).backward()
            before = torch.cat([p.detach().flatten() for p in model[2].parameters()])
            optimiser.step()
            after = torch.cat([p.detach().flatten() for p in model[2].parameters()])
            moved.append(float((after - before).norm() / before.norm()))
        return moved

    watch, moved = both(run)
    np.testing.assert_allclose(watch.history.layer("2", "update"), moved, rtol=1e-4)


def test_rows_are_those_of_the_last_micro_batch_also_where_it_is_a_small_one():
    def run(model, _):
        kept, optimiser, ranks = [], torch.optim.SGD(model.parameters(), 0.1), []
        handle = model[1].register_forward_hook(lambda _m, _a, out: kept.append(out.detach().double()))
        for i, (x, y) in enumerate(batches(8)):
            n = 8 if i % 4 == 3 else 32
            F.cross_entropy(model(x[:n]), y[:n]).backward()
            if i % 4 == 3:
                ranks.append(effective_rank(kept[-1]))
                optimiser.step()
                optimiser.zero_grad()
        handle.remove()
        return ranks

    watch, ranks = both(run)
    np.testing.assert_allclose(watch.history.layer("1", "rank"), ranks, rtol=1e-6)


class Skipping(nn.Module):
    """Leaves a layer out in every second pass."""

    def __init__(self):
        torch.manual_seed(0)
        super().__init__()
        self.first, self.block, self.last, self.n = nn.Linear(20, 16), nn.Sequential(nn.Linear(16, 16), nn.ReLU()), \
            nn.Linear(16, 3), 0  # fmt: skip

    def forward(self, x):
        self.n += 1
        h = torch.relu(self.first(x))
        return self.last(h + self.block(h) if self.n % 2 else h)


def test_a_layer_that_is_skipped_takes_no_labels_from_the_others():
    watch, _ = both(
        lambda model, watch: fit(model, torch.optim.Adam(model.parameters()), batches(4), watch=watch), Skipping
    )
    assert np.isfinite(watch.history.value("accuracy")).all()
    assert np.isfinite(watch.history.layer("last", "readout")).all()
    assert np.isfinite(watch.history.layer("block.1", "readout")).tolist() == [True, False, True, False]


def test_a_layer_that_is_replaced_is_looked_at_and_noted():
    def run(model, watch):
        fit(model, torch.optim.Adam(model.parameters()), batches(3), watch=watch)
        model[4] = nn.Linear(8, 3)
        return fit(model, torch.optim.Adam(model.parameters()), batches(4), watch=watch)

    watch, norms = both(run)
    np.testing.assert_allclose(watch.history.value("gradient")[4:], norms[1:], rtol=1e-5)
    assert [(event.step, event.what, event.text) for event in watch.history.events] == [(4, "replaced", "4")]
    assert np.isfinite(watch.history.value("accuracy")[4:]).all()


class Waves(nn.Module):
    """A complex parameter between real layers."""

    def __init__(self):
        torch.manual_seed(0)
        super().__init__()
        self.first, self.last = nn.Linear(20, 8), nn.Linear(8, 3)
        self.filter = nn.Parameter(torch.randn(5, dtype=torch.cfloat))

    def forward(self, x):
        return self.last(torch.fft.irfft(torch.fft.rfft(torch.relu(self.first(x))) * self.filter, n=8))


@pytest.mark.parametrize("kind", ["double", "one double layer", "complex", "bfloat16"])
def test_parameters_of_any_number_are_measured(kind):
    def make():
        model = Waves() if kind == "complex" else stack()
        if kind == "one double layer":
            model[2] = nn.Sequential(Cast(torch.float64), model[2].double(), Cast(torch.float32))
        dtype = {"double": torch.float64, "bfloat16": torch.bfloat16}.get(kind)
        return model if dtype is None else model.to(dtype)

    def run(model, _):
        dtype = next(p.dtype for p in model.parameters() if not p.is_complex())
        data = [(x.to(dtype), y) for x, y in batches(3)]
        return fit(model, torch.optim.SGD(model.parameters(), 0.1), data, clip=kind != "bfloat16")

    watch, norms = both(run, make)
    np.testing.assert_allclose(watch.history.value("gradient"), norms, rtol=1e-4)
    assert all((watch.history.layer(layer, "update") > 0).all() for layer in watch.history.snapshots[0].layers
               if "weight" in watch.history.snapshots[0].layers[layer])  # fmt: skip


class Cast(nn.Module):
    def __init__(self, dtype):
        super().__init__()
        self.dtype = dtype

    def forward(self, x):
        return x.to(self.dtype)


@pytest.mark.filterwarnings("ignore:`torch.jit.script_method`:DeprecationWarning")
def test_a_compiled_step_of_the_optimiser_is_counted():
    def run(model, _):
        torch._dynamo.reset()
        optimiser = torch.optim.SGD(model.parameters(), 0.1)
        step, norms = torch.compile(optimiser.step, backend="eager"), []
        for x, y in batches(2):
            optimiser.zero_grad()
            F.cross_entropy(model(x), y).backward()
            norms.append(norm(model.parameters()))
            step()
        return norms

    watch, norms = both(run, lambda: stack()[:1])
    np.testing.assert_allclose(watch.history.value("gradient"), norms, rtol=1e-5)


def test_a_step_that_a_scaler_skips_leaves_nothing_to_the_next_one():
    def run(model, _):
        scaler, optimiser = torch.amp.GradScaler("cpu", init_scale=8.0), torch.optim.SGD(model.parameters(), 0.1)
        scales = []
        handle = model[1].register_forward_hook(
            lambda _m, _a, out: scales.append(float(out.detach().square().mean().sqrt()))
        )
        for i, (x, y) in enumerate(batches(5)):
            optimiser.zero_grad()
            scaler.scale(F.cross_entropy(model(x), y) * (np.inf if i in (1, 2) else 1.0)).backward()
            scaler.step(optimiser)
            scaler.update()
        handle.remove()
        return [scale for i, scale in enumerate(scales[-5:]) if i not in (1, 2)]

    watch, scales = both(run)
    assert watch.history.value("micro_batches").tolist() == [1, 1, 1]
    np.testing.assert_allclose(watch.history.layer("1", "rms"), scales, rtol=1e-5)


def test_a_run_that_is_taken_up_again_names_its_steps_and_keeps_those_before(tmp_path):
    def run(n, bad):
        model, file = stack(), tmp_path / "run.unbend"
        with unbend.watch(model, every=1, budget=None, file=file) as watch:
            data = [(x * (torch.inf if i == bad else 1), y) for i, (x, y) in enumerate(batches(n))]
            fit(model, torch.optim.SGD(model.parameters(), 0.1), data)
        found = unbend.open_history(file)
        return watch.history, found

    run(4, None)
    mine, kept = run(2, 0)
    assert [(event.step, event.what) for event in mine.events] == [(5, "non-finite")]
    assert kept.steps.tolist() == [1, 2, 3, 4, 5, 6]


def test_an_error_before_the_first_step_loses_nothing_of_the_run_before(tmp_path):
    def run(n):
        model = stack()
        with unbend.watch(model, every=1, budget=None, file=tmp_path / "run.unbend", example=torch.zeros(4, 20)):
            fit(model, torch.optim.SGD(model.parameters(), 0.1), batches(n))
            raise KeyError

    for n in (3, 0):
        with pytest.raises(KeyError):
            run(n)
    found = unbend.open_history(tmp_path / "run.unbend")
    assert found.steps.tolist() == [1, 2, 3]
    assert [(event.step, event.what) for event in found.events] == [(3, "exception")] * 2


def test_two_runs_do_not_write_to_one_file_at_once_nor_one_of_other_layers_after_the_other(tmp_path):
    def run(file, *models):
        with ExitStack() as blocks:
            for model in models:
                blocks.enter_context(unbend.watch(model, file=file))
            for model in models:
                model(torch.zeros(4, 20))

    with pytest.raises(RecordError, match="another run has written to since"):
        run(tmp_path / "one.unbend", stack(), perceptron())
    run(tmp_path / "two.unbend", stack())
    with pytest.raises(RecordError, match="holds a run of other layers"):
        run(tmp_path / "two.unbend", perceptron())
    for name in ("one", "two"):
        found = unbend.open_history(tmp_path / f"{name}.unbend")
        assert [layer.name for layer in found.about.layers] == ["0", "1", "2", "3", "4"]


def test_a_keyword_may_hold_anything_and_labels_that_are_none_are_refused_in_a_sentence():
    class Detector(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = stack()

        def forward(self, x, labels=None, **kwargs):
            return self.net(x)

    def run(model, _):
        optimiser = torch.optim.SGD(model.parameters(), 0.1)
        for x, y in batches(2):
            F.cross_entropy(model(x, labels=[{"boxes": y}], scale=2), y).backward()
            optimiser.step()

    watch, _ = both(run, Detector)
    assert np.isfinite(watch.history.layer("net.1", "rank")).all()
    with unbend.watch(stack()) as watch:
        for odd in (["cat", "dog"], [[1], [2, 3]], np.array([None])):
            with pytest.raises(DataError, match="label: expected class indices"):
                watch.label(odd)


@pytest.mark.parametrize("y", [
    torch.tensor(3), torch.zeros(32, device="meta"), torch.eye(32).to_sparse(), None, [], list(range(5)),
    torch.zeros(96, dtype=torch.int64),
])  # fmt: skip
def test_labels_that_say_nothing_of_rows_are_left_out(y):
    model = stack()
    optimiser = torch.optim.SGD(model.parameters(), 0.1)
    with unbend.watch(model, every=1, budget=None) as watch:
        for x, true in batches(2):
            F.cross_entropy(model(x), true).backward()
            watch.label(y)
            optimiser.step()
    assert np.isnan(watch.history.value("accuracy")).all()
    assert np.isfinite(watch.history.layer("1", "rank")).all()


def test_what_is_no_number_is_not_logged():
    with unbend.watch(stack()) as watch:
        for odd in (torch.tensor(1j), torch.ones((), device="meta"), torch.ones(0)):
            with pytest.raises(DataError, match="log: expected one number for 'loss', got a"):
                watch.log(loss=odd)
    for odd in ("much", None, [1.0], 1j, np.ones(2), 10**400):
        with pytest.raises(DataError, match="log: expected one number for 'loss', got"):
            _number.__wrapped__("loss", odd)
    assert [_number.__wrapped__("loss", even) for even in (np.ones(1), np.float32(2), 3)] == [1.0, 2.0, 3.0]


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ({"every": 1.5}, "every: expected at least 1, a whole number"), ({"every": True}, "every: "),
        ({"every": "10"}, "every: "), ({"labels": None}, "labels: expected the name of a keyword"),
        ({"layers": []}, "layers: expected names or globs"), ({"layers": [1]}, "layers: expected names or globs"),
    ],
)  # fmt: skip
def test_settings_of_another_kind_are_refused(how, said):
    settings = WatchSettings()
    for name, value in how.items():
        object.__setattr__(settings, name, value)
    with pytest.raises(DataError, match=said):
        settings.check_values()


def test_a_block_that_cannot_begin_leaves_no_hook_and_a_watch_is_used_once():
    model = stack()
    others = len(_global_optimizer_post_hooks)
    with pytest.raises(UnbendError, match="no layer named 'nope'"):
        unbend.watch(model, layers=["nope"], example=torch.zeros(4, 20)).__enter__()
    assert len(_global_optimizer_post_hooks) == others
    assert not any(module._forward_pre_hooks for module in model.modules())
    watch = unbend.watch(model)
    with watch:
        model(torch.zeros(4, 20))
    with pytest.raises(DataError, match="not used yet"):
        watch.__enter__()


def test_a_history_that_another_thread_reads_holds_each_step_once():
    model, other = stack(), threading.Event()
    optimiser = torch.optim.SGD(model.parameters(), 0.1)
    with unbend.watch(model, every=1, budget=1e-9) as watch:
        fit(model, optimiser, batches(6))
        report = watch._reporter.report

        def slow(seen):
            if not other.is_set():
                other.set()
                reader.start()
                reader.join(0.3)
            return report(seen)

        reader = threading.Thread(target=lambda: watch.history)
        watch._reporter.report = slow
        assert watch.history.steps.tolist() == [1, 2, 3, 4, 5, 6]
        reader.join()
    assert watch.history.steps.tolist() == [1, 2, 3, 4, 5, 6]


def test_a_loop_that_calls_the_first_layers_alone_holds_on_to_nothing_and_is_looked_at():
    model = perceptron()
    optimiser = torch.optim.SGD(model.parameters(), 0.1)
    with unbend.watch(model, every=100, example=torch.zeros(4, 20)) as watch:
        fit(model, optimiser, batches(1))
        for i, (x, _) in enumerate(batches(3)):
            model[:3](x * (torch.inf if i == 2 else 1)).square().mean().backward()
            optimiser.step()
            assert len(watch._switch.trail) == 0
    assert [(event.step, event.what) for event in watch.history.events] == [(4, "non-finite")]


def test_passes_that_are_none_of_training_choose_no_layers():
    def run(model, watch):
        optimiser = torch.optim.SGD(model.parameters(), 0.1)
        parameters = {name: p.detach() for name, p in model.named_parameters()}
        torch.func.vmap(lambda x: torch.func.functional_call(model, parameters, (x,)))(torch.ones(4, 1, 20))
        data = [(x[:n], y[:n]) for n, (x, y) in zip((0, 32, 1), batches(3), strict=True)]
        return fit(model, optimiser, data, loss=lambda out, y: F.cross_entropy(out, y, reduction="sum"), watch=watch)

    watch, norms = both(run)
    assert watch.history.steps.tolist() == [2, 3]  # the first pass held no sample
    np.testing.assert_allclose(watch.history.value("gradient"), norms[1:], rtol=1e-5)
    assert np.isfinite(watch.history.layer("1", "zeros")).all()


def test_a_model_that_forbids_copies_is_watched_for_its_weights():
    class Only(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = stack()

        def __deepcopy__(self, _memo):
            raise LookupError("there is one")

        def forward(self, x):
            return self.net(x)

    model = Only()
    with unbend.watch(model, every=1) as watch, nullcontext():
        fit(model, torch.optim.SGD(model.parameters(), 0.1), batches(2))
    assert watch.history.about.notes == (
        "No layer is looked at: the model cannot be copied: LookupError: there is one",
    )
    assert (watch.history.layer("net.0", "update") > 0).all()


def test_a_model_that_holds_its_watch_can_be_copied_and_pickled_and_keeps_the_history():
    model = stack()
    model.watch = unbend.watch(model, every=1, budget=None)
    with model.watch:
        fit(model, torch.optim.SGD(model.parameters(), 0.1), batches(2))
        twin = copy.deepcopy(model)
    for one in (twin, pickle.loads(pickle.dumps(model))):
        assert one.watch.history.steps.tolist() == [1, 2]
    assert np.isfinite(model.watch.history.layer("1", "zeros")).all()
