"""A watched run ends with the weights of one that nobody watched, and what was seen is what happened."""

import copy
import io
import pickle
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from tests.study.watch.runs import NETS, Functional, Residual, batches, is_same, perceptron, take_step, train
from torch import nn
from torch.nn import functional as F
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torch.utils.checkpoint import checkpoint

import unbend
from unbend.capture.outputs import tensor_of
from unbend.errors import DataError
from unbend.study.watch import NonFiniteError
from unbend.study.watch.schedule import Schedule


def n_hooks(model):
    return sum(
        len(hooks)
        for module in model.modules()
        for hooks in (module._forward_hooks, module._forward_pre_hooks, module._backward_hooks)
    ) + sum(len(p._post_accumulate_grad_hooks or ()) for p in model.parameters())


@pytest.mark.parametrize("name", NETS)
def test_weights_buffers_and_random_numbers_are_those_of_a_run_without(name):
    one, other = NETS[name](), NETS[name]()
    train(one, watched=False)
    after = torch.rand(4)
    train(other, every=1)
    assert torch.equal(after, torch.rand(4))
    assert is_same(one, other)
    assert n_hooks(other) == 0


@pytest.mark.parametrize("name", NETS)
def test_every_activation_is_seen_and_the_output_is_scored(name):
    watch = train(NETS[name](), every=1)
    h = watch.history
    assert h.steps.tolist() == [1, 2, 3, 4, 5, 6]
    kinds = {layer.name: layer.kind for layer in h.about.layers}
    bends = [name for name, kind in kinds.items() if kind in ("activation", "function")]
    assert bends
    for bend in bends:
        assert np.isfinite(h.layer(bend, "zeros")).all()
        assert ((h.layer(bend, "readout") >= 0) & (h.layer(bend, "readout") <= 1)).all()
    assert np.isfinite(h.value("accuracy")).all()
    assert np.isfinite(h.value("loss")).all()
    assert h.value("learning_rate").tolist() == [1e-2] * 6


def test_numbers_are_those_of_the_values_themselves():
    model, kept = perceptron(), []
    model[2].register_forward_hook(lambda _m, _i, out: kept.append(out.detach().clone()))
    watch = train(model, every=1, n=3)
    h = watch.history
    kept = [value for value in kept if len(value) == 32][-3:]
    for i, value in enumerate(kept):
        assert h.layer("2", "zeros")[i] == pytest.approx(float((value == 0).float().mean()), abs=1e-6)
        assert h.layer("2", "rms")[i] == pytest.approx(float(value.double().pow(2).mean().sqrt()), rel=1e-5)
        assert h.layer("2", "silent")[i] == pytest.approx(float((value == 0).all(0).float().mean()))


def test_gradients_are_those_before_clipping():
    norms = []

    def step(loss, optimiser):
        optimiser.zero_grad()
        loss.backward()
        norms.append(float(nn.utils.clip_grad_norm_(model.parameters(), 1e-3)))
        optimiser.step()

    model = perceptron()
    h = train(model, every=1, step=step).history
    np.testing.assert_allclose(h.value("gradient"), norms, rtol=1e-5)
    np.testing.assert_allclose(h.value("clipped") * h.value("gradient"), 1e-3, rtol=1e-3)
    layers = [layer.name for layer in h.about.layers if np.isfinite(h.layer(layer.name, "gradient")).any()]
    squares = sum(h.layer(layer, "gradient") ** 2 for layer in layers)
    np.testing.assert_allclose(np.sqrt(squares), norms, rtol=1e-5)


def test_micro_batches_are_one_step_and_their_gradients_one_gradient():
    def run(watched):
        model = perceptron()
        optimiser = torch.optim.SGD(model.parameters(), 0.1)
        norms = []
        torch.manual_seed(3)
        watch = unbend.watch(model, every=1, budget=None)
        if watched:
            watch.__enter__()
        for i, (x, y) in enumerate(batches(8)):
            (F.cross_entropy(model(x), y) / 4).backward()
            if i % 4 == 3:
                norms.append(float(torch.stack([p.grad.norm() for p in model.parameters()]).norm()))
                optimiser.step()
                optimiser.zero_grad()
        if watched:
            watch.__exit__(None, None, None)
        return model, watch.history, norms

    (one, _, _), (other, h, norms) = run(False), run(True)
    assert is_same(one, other)
    assert h.steps.tolist() == [1, 2]
    assert h.value("micro_batches").tolist() == [4, 4]
    np.testing.assert_allclose(h.value("gradient"), norms, rtol=1e-5)


@pytest.mark.parametrize("is_fused", [False, True])
def test_a_scaled_loss_gives_unscaled_gradients_and_a_skipped_step_is_none(is_fused):
    def run(watched):
        model = Functional()
        optimiser = torch.optim.Adam(model.parameters(), 1e-2, fused=is_fused)
        scaler = torch.amp.GradScaler("cpu", init_scale=2.0**12, growth_interval=2)

        def step(loss, optimiser):
            optimiser.zero_grad()
            scaler.scale(loss * (float("inf") if next(count) == 2 else 1.0)).backward()
            true.append(float(torch.stack([p.grad.norm() for p in model.parameters()]).norm()) / scaler.get_scale())
            scaler.step(optimiser)
            scaler.update()

        count, true = iter(range(99)), []
        return model, train(model, watched=watched, every=1, step=step, optimiser=optimiser), true

    (one, _, _), (other, watch, true) = run(False), run(True)
    assert is_same(one, other)
    h = watch.history
    assert len(h.snapshots) == 5
    np.testing.assert_allclose(h.value("gradient"), [t for i, t in enumerate(true) if i != 2], rtol=1e-5)


def test_under_autocast_nothing_changes_and_half_values_are_read():
    def run(watched):
        model = Functional()

        def call(x):
            with torch.autocast("cpu", torch.bfloat16):
                return model(x)

        return model, train(model, watched=watched, call=call, every=1)

    (one, _), (other, watch) = run(False), run(True)
    assert is_same(one, other)
    assert np.isfinite(watch.history.layer("fc3", "rms")).all()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_a_run_of_any_default_type_is_measured(dtype):
    def run(dtype, *, watched=True):
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(20, 48), nn.ReLU(), nn.Linear(48, 24), nn.Sigmoid(), nn.Linear(24, 3))
        optimiser = torch.optim.SGD(model.to(dtype).parameters(), 0.05)
        torch.set_default_dtype(dtype)
        try:
            return model, train(model, call=lambda x: model(x.to(dtype)), optimiser=optimiser, watched=watched, every=1)
        finally:
            torch.set_default_dtype(torch.float32)

    (one, _), (other, watch), (_, full) = run(dtype, watched=False), run(dtype), run(torch.float32)
    assert is_same(one, other)
    for layer in ("1", "3", "4"):
        np.testing.assert_allclose(watch.history.layer(layer, "rms"), full.history.layer(layer, "rms"), rtol=0.02)
    np.testing.assert_allclose(watch.history.value("gradient"), full.history.value("gradient"), rtol=0.02)


def test_the_gradient_of_a_complex_parameter_counts_both_of_its_parts():
    class Waves(nn.Module):
        def __init__(self):
            super().__init__()
            self.w, self.head = nn.Parameter(torch.ones(20, 8, dtype=torch.cfloat) / 10j), nn.Linear(8, 3)

        def forward(self, x):
            return self.head((x.cfloat() @ self.w).imag)

    torch.manual_seed(0)
    one = Waves()
    other = copy.deepcopy(one)
    norms = []

    def note(loss, optimiser):
        optimiser.zero_grad()
        loss.backward()
        norms.append(float(torch.cat([torch.view_as_real(one.w.grad).flatten(), one.head.weight.grad.flatten(),
                                      one.head.bias.grad]).norm()))  # fmt: skip
        optimiser.step()

    train(one, watched=False, step=note)
    watch = train(other, every=1)
    assert is_same(one, other)
    np.testing.assert_allclose(watch.history.value("gradient"), norms, rtol=1e-5)


@pytest.mark.parametrize("is_reentrant", [False, True])
def test_layers_that_are_run_twice_by_checkpointing_count_once(is_reentrant):
    class Checkpointed(nn.Module):
        def __init__(self):
            torch.manual_seed(0)
            super().__init__()
            self.first, self.inner, self.last = nn.Linear(20, 16), nn.Sequential(nn.Linear(16, 16), nn.ReLU()), \
                nn.Linear(16, 3)  # fmt: skip

        def forward(self, x):
            h = self.first(x)
            h = checkpoint(self.inner, h, use_reentrant=is_reentrant) if torch.is_grad_enabled() else self.inner(h)
            return self.last(h)

    one, other = Checkpointed(), Checkpointed()
    train(one, watched=False)
    torch.manual_seed(0)
    watch = unbend.watch(other, every=1, budget=None)
    seen = []
    with watch:
        torch.manual_seed(7)
        optimiser = torch.optim.Adam(other.parameters(), 1e-2)
        for x, y in batches(6):
            loss = F.cross_entropy(other(x), y)
            optimiser.zero_grad()
            loss.backward()
            seen.append([sums.n for sums in watch._reporter._sums])
            optimiser.step()
    assert is_same(one, other)
    assert {n for step in seen for n in step} == {32}
    assert np.isfinite(watch.history.layer("inner.1", "zeros")).all()


def test_a_function_is_read_where_the_next_layer_takes_it_in():
    model = Functional()
    h = train(model, every=1).history
    names = [layer.name for layer in h.about.layers if layer.kind == "function"]
    assert len(names) == 2
    assert all((h.layer(name, "zeros") > 0.1).all() for name in names)


def test_a_module_called_repeatedly_is_read_call_by_call():
    h = train(Residual(), every=1).history
    shared = [layer.name for layer in h.about.layers if "relu" in layer.name]
    assert len(shared) == 4
    assert all(np.isfinite(h.layer(name, "zeros")).all() for name in shared)


def test_an_average_of_weights_is_not_looked_at():
    def run(watched):
        model = perceptron()
        averaged = []

        def step(loss, optimiser):
            if not averaged:
                averaged.append(AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(0.9)))
            optimiser.zero_grad()
            loss.backward()
            with torch.enable_grad():
                averaged[0](torch.full((32, 20), 1e6))
            averaged[0].update_parameters(model)
            optimiser.step()

        return model, averaged[0] if averaged else None, train(model, watched=watched, step=step, every=1), averaged

    one, _, _, first = run(False)
    other, _, watch, second = run(True)
    assert is_same(one, other)
    assert is_same(first[0], second[0])
    assert watch.history.layer("2", "rms").max() < 100


def test_model_and_optimiser_can_be_copied_and_pickled_inside_and_copies_are_silent():
    model = perceptron()
    optimiser = torch.optim.Adam(model.parameters(), 1e-2)
    with unbend.watch(model, every=1, budget=None) as watch:
        for x, y in batches(2):
            optimiser.zero_grad()
            F.cross_entropy(model(x), y).backward()
            optimiser.step()
        n = len(watch.history.snapshots)
        place = io.BytesIO()
        torch.save((model, optimiser, model.state_dict()), place)
        place.seek(0)
        loaded, its_optimiser, _ = torch.load(place, weights_only=False)
        for twin in (copy.deepcopy(model), loaded, pickle.loads(pickle.dumps(model))):
            its = torch.optim.SGD(twin.parameters(), 0.1)
            F.cross_entropy(twin(x), y).backward()
            its.step()
        copy.deepcopy(optimiser).step()
        its_optimiser.step()
        assert len(watch.history.snapshots) == n


def test_hooks_come_off_when_the_loop_raises():
    model = perceptron()
    optimiser = torch.optim.Adam(model.parameters())
    watch = unbend.watch(model, every=1)

    def run():
        with watch:
            for x, y in batches(2):
                F.cross_entropy(model(x), y).backward()
                optimiser.step()
            raise KeyError

    with pytest.raises(KeyError):
        run()
    assert n_hooks(model) == 0
    assert [event.what for event in watch.history.events] == ["exception"]
    optimiser.step()
    assert len(watch.history.snapshots) == 2


def test_a_watch_that_no_block_ends_is_closed_by_hand_and_once():
    model = perceptron()
    watch = unbend.watch(model, every=1, example=torch.zeros(4, 20)).__enter__()
    assert n_hooks(model) > 0
    watch.close()
    watch.close()
    assert n_hooks(model) == 0
    assert not watch.history.events


def test_evaluation_between_steps_is_not_seen():
    model = perceptron()
    optimiser = torch.optim.Adam(model.parameters())
    with unbend.watch(model, every=1, budget=None) as watch:
        for x, y in batches(3):
            optimiser.zero_grad()
            F.cross_entropy(model(x), y).backward()
            with torch.no_grad():
                model.eval()
                model(torch.full((32, 20), 1e5))
                model.train()
            optimiser.step()
    assert watch.history.layer("2", "rms").max() < 100


def test_a_loop_that_calls_the_parts_is_seen_after_an_evaluation_too():
    model = perceptron()
    optimiser = torch.optim.Adam(model.parameters())
    with unbend.watch(model, every=2, budget=None, example=torch.zeros(4, 20)) as watch:
        for x, y in batches(6):
            with torch.no_grad():
                model(torch.full((32, 20), 1e5))
            optimiser.zero_grad()
            F.cross_entropy(model[4:](model[:4](x)), y).backward()
            watch.label(y)
            optimiser.step()
    scale = watch.history.layer("2", "rms")
    assert watch.history.steps.tolist() == [1, 3, 5]
    assert ((scale > 0) & (scale < 100)).all()
    assert np.isfinite(watch.history.layer("5", "readout")).all()


@dataclass
class Answer:
    logits: torch.Tensor
    n: int = 0


FORMS = {
    "mapping": lambda z: {"loss": z.sum(), "logits": z}, "dataclass": Answer, "tuple": lambda z: (z.sum(), z),
    "nested": lambda z: ({"a": z},),
}  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
def test_an_output_of_any_form_is_scored_and_hides_no_labels_from_layers(form):
    class Formed(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = perceptron()

        def forward(self, x):
            z = self.net(x) / 2.0  # the output of no module
            return z if form == "plain" else FORMS[form](z)

    def run():
        model = Formed()
        return train(model, call=lambda x: tensor_of(model(x)).tensor, every=1).history

    found, form = run(), "plain"
    plain = run()
    np.testing.assert_array_equal(found.value("accuracy"), plain.value("accuracy"))
    assert np.isfinite(found.value("accuracy")).all()
    np.testing.assert_array_equal(found.layer("net.5", "readout"), plain.layer("net.5", "readout"))
    assert np.isfinite(found.layer("net.5", "readout")).all()


def test_outputs_that_are_no_tensors_are_passed_by():
    class Named(nn.Module):
        def __init__(self):
            torch.manual_seed(0)
            super().__init__()
            self.inner, self.last = Odd(), nn.Linear(8, 3)

        def forward(self, x):
            return self.last(self.inner(x)["h"])

    class Odd(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(20, 8)

        def forward(self, x):
            return {"h": torch.tanh(self.linear(x)), "text": "none", "nothing": None}

    one, other = Named(), Named()
    train(one, watched=False)
    h = train(other, every=1).history
    assert is_same(one, other)
    assert np.isfinite(h.layer("last", "rms")).all()


class Breaking(nn.Module):
    """Puts out NaN behind its second layer in one forward pass."""

    def __init__(self, at):
        torch.manual_seed(0)
        super().__init__()
        self.a, self.b, self.c, self.n, self.at = nn.Linear(20, 8), nn.ReLU(), nn.Linear(8, 3), 0, at

    def forward(self, x):
        h = self.b(self.a(x))
        self.n += self.training and torch.is_grad_enabled()
        if self.n == self.at:
            h = h / (h[:1, :1] * 0)
        return self.c(h)


def test_the_first_step_and_layer_with_a_value_that_is_not_finite_are_named_between_snapshots_too():
    h = train(Breaking(5), n=12, every=10).history
    found = [event for event in h.events if event.what == "non-finite"]
    assert [(event.step, event.text) for event in found] == [(5, "c")]


class Overflowing(nn.Module):
    """Its first layer's values are infinite in one forward pass; the tanh behind the second makes them finite again."""

    def __init__(self, at, *, is_function):
        torch.manual_seed(0)
        super().__init__()
        self.a, self.b, self.c, self.d = nn.Linear(20, 8), nn.ReLU(), nn.Linear(8, 8), nn.Linear(8, 3)
        self.t, self.n, self.at = torch.tanh if is_function else nn.Tanh(), 0, at

    def forward(self, x):
        h = self.a(x)
        self.n += self.training and torch.is_grad_enabled()
        if self.n == self.at:
            h = torch.where(torch.arange(8) == 5, h.abs() * torch.inf, h)
        return self.d(self.t(self.c(self.b(h))))


@pytest.mark.parametrize("is_function", [False, True])
def test_a_value_that_is_not_finite_is_seen_also_where_a_bounded_activation_hides_it(is_function):
    assert torch.isfinite(Overflowing(1, is_function=is_function)(next(batches(1))[0])).all()
    h = train(Overflowing(5, is_function=is_function), n=9, every=20).history
    assert [(one.step, one.text) for one in h.events if one.what == "non-finite"] == [(5, "b")]


def test_layers_are_held_until_the_output_has_come_and_not_under_checkpointing():
    class Checked(nn.Module):
        def __init__(self, is_checked):
            super().__init__()
            self.net, self.head, self.is_checked = perceptron()[:6], nn.Linear(24, 3), is_checked

        def forward(self, x):
            return self.head(checkpoint(self.net, x, use_reentrant=False) if self.is_checked else self.net(x))

    for is_checked in (False, True):
        model = Checked(is_checked)
        seen = []
        model.head.register_forward_pre_hook(
            lambda _m, _a, seen=seen: seen.append(None if watch._switch.trail is None else len(watch._switch.trail))
        )
        optimiser = torch.optim.SGD(model.parameters(), 0.1)
        with unbend.watch(model, every=20) as watch:
            for x, y in batches(3):
                F.cross_entropy(model(x), y).backward()
                optimiser.step()
        assert seen[-3:] == ([None, None, None] if is_checked else [None, 3, 3])  # affine, ReLU, tanh
        assert watch._switch.trail is None or len(watch._switch.trail) == 0


def test_the_run_stops_at_a_value_that_is_not_finite_where_that_is_wanted():
    with pytest.raises(NonFiniteError, match="layer c is NaN or infinite in step 3"):
        train(Breaking(3), n=12, every=1, stop=True)


def test_between_snapshots_the_run_stops_in_the_very_step():
    model = Breaking(5)
    with pytest.raises(NonFiniteError, match="layer c is NaN or infinite in step 5"):
        train(model, n=12, every=100, stop=True)
    assert model.n == 5


def test_a_gradient_that_is_not_finite_stops_the_run_where_all_values_are():
    model = perceptron()
    model[0].weight.register_hook(lambda gradient: gradient * torch.nan)
    with pytest.raises(NonFiniteError, match="a value of the gradient is NaN or infinite in step 1"):
        train(model, n=2, every=1, stop=True)


def test_with_every_given_the_budget_bounds_questions_about_rows_and_nothing_else():
    # What the first snapshot cost, which sets up much, is not counted: the second asks too.
    for budget, is_asked in ((1e-9, [True, True, False, False]), (None, [True] * 4)):
        h = train(perceptron(), n=4, every=1, budget=budget).history
        assert np.isfinite(h.layer("2", "rank")).tolist() == is_asked
        assert np.isfinite(h.layer("2", "rms")).all()
        assert np.isfinite(h.value("accuracy")).all()


def test_every_finding_is_handed_on_when_it_is_made_and_once():
    model, told = nn.Sequential(nn.Linear(20, 16), nn.Tanh(), nn.Linear(16, 3)), []
    optimiser = torch.optim.SGD(model.parameters(), 1e3)
    with unbend.watch(model, every=1, budget=None) as watch:

        @watch.on_finding
        def hear(found):
            told.append((len(watch.history.snapshots), found))

        for x, y in batches(5):
            optimiser.zero_grad()
            F.cross_entropy(model(x), y).backward()
            optimiser.step()
    assert callable(hear)
    assert [found for _, found in told] == list(watch.findings)
    assert len({(found.finding.rule, found.finding.layer) for _, found in told}) == len(told) > 0
    assert {found.finding.rule for _, found in told} >= {"update_ratio"}
    assert min(n for n, _ in told) <= 2


def test_labels_come_from_the_call_a_keyword_or_a_function():
    class Keyword(nn.Module):
        def __init__(self):
            torch.manual_seed(0)
            super().__init__()
            self.net = nn.Sequential(nn.Linear(20, 16), nn.ReLU(), nn.Linear(16, 3))

        def forward(self, x, labels=None):
            return self.net(x)

    def run(labels, call):
        model = Keyword()
        optimiser = torch.optim.Adam(model.parameters(), 1e-2)
        with unbend.watch(model, every=1, budget=None, labels=labels) as watch:
            for x, y in batches(3):
                optimiser.zero_grad()
                F.cross_entropy(call(model, x, y, watch), y).backward()
                optimiser.step()
        return watch.history.layer("net.1", "readout")

    def told(model, x, y, watch):
        watch.label(y)
        return model(x)

    by_keyword = run("labels", lambda model, x, y, _: model(x, labels=y))
    np.testing.assert_array_equal(by_keyword, run("labels", told))
    found = run(lambda args, _: args[0][:, :3].argmax(1), lambda model, x, y, _: model(x))
    np.testing.assert_array_equal(by_keyword, found)
    without = run("labels", lambda model, x, y, _: model(x))
    assert np.isfinite(by_keyword).all()
    assert np.isnan(without).all()


def test_an_update_is_what_the_step_changed_over_what_was_there():
    model, ratios = perceptron(), []

    def step(loss, optimiser):
        optimiser.zero_grad()
        loss.backward()
        before = torch.cat([p.detach().flatten().clone() for p in model[4].parameters()])
        optimiser.step()
        after = torch.cat([p.detach().flatten() for p in model[4].parameters()])
        ratios.append(float((after - before).norm() / before.norm()))

    h = train(model, every=1, step=step).history
    np.testing.assert_allclose(h.layer("4", "update"), ratios, rtol=1e-5)


def test_the_distance_between_snapshots_keeps_the_budget():
    schedule = Schedule(None, 0.02)
    step, spent, steps = 0, 0.0, 4000
    while step < steps:
        step += 1
        is_reported = step >= schedule.next
        if is_reported:
            schedule.plan(step, schedule.wish())
            spent += 0.05
        schedule.note(0.02 + 0.05 * is_reported, 0.05 if is_reported else None)
    assert spent <= 0.02 * 0.02 * steps * 1.5
    assert schedule.distance == pytest.approx(125, rel=0.05)


class StepSink:
    """A sink that notes the steps of snapshots."""

    def __init__(self):
        self.steps = []

    def snapshot(self, snapshot):
        self.steps.append(snapshot.step)

    def begin(self, about): ...

    def event(self, event): ...

    def finding(self, found): ...

    def end(self, history): ...


@pytest.mark.parametrize("name", ["perceptron", "residual"])
def test_snapshots_that_wait_are_those_that_are_made_at_once(name):
    sink = StepSink()
    at_once = train(NETS[name](), n=40, every=1, budget=1e-9, sinks=(sink,)).history
    torch.manual_seed(7)
    model, lengths, n_waiting = NETS[name](), [], []
    optimiser = torch.optim.Adam(model.parameters(), 1e-2)
    torch.manual_seed(7)
    with unbend.watch(model, every=1, budget=1e-9) as watch:
        for i, (x, y) in enumerate(batches(40)):
            take_step(watch, model, optimiser, x, y)
            y.zero_()  # the loop may use its memory again
            n_waiting.append(len(watch._waiting))
            if i in (5, 37):
                lengths.append(len(watch.history.snapshots))
    waited = watch.history
    assert sink.steps == at_once.steps.tolist() == waited.steps.tolist() == list(range(1, 41))
    assert lengths == [6, 38]
    assert max(n_waiting) == 15  # the sixteenth takes all
    for one, other in zip(at_once.snapshots, waited.snapshots, strict=True):
        assert one.layers == other.layers
        assert one.values.keys() == other.values.keys()
        assert all(other.values[k] == v for k, v in one.values.items() if k != "cost")


def test_what_is_wrong_is_said_during_a_run_whose_every_step_is_looked_at():
    model, said = nn.Sequential(nn.Linear(20, 8), nn.ReLU(), nn.Linear(8, 3)), []
    optimiser = torch.optim.SGD(model.parameters(), 0.0)
    with unbend.watch(model, every=1, budget=1e-9) as watch:
        watch.on_finding(lambda found: said.append(found.finding.rule))
        for x, y in batches(560):
            take_step(watch, model, optimiser, x, y)
        assert said
    asked = [s.step for s in watch.history.snapshots if "rank" in s.layers["1"]]
    assert asked[0] == 1
    assert np.diff(asked[-2:]) == 256


def test_what_is_logged_after_the_last_snapshot_is_added_to_it_and_hides_nothing_it_knows(tmp_path):
    model = perceptron()
    optimiser = torch.optim.Adam(model.parameters(), 1e-2)
    place = tmp_path / "run.unbend"
    with unbend.watch(model, every=3, file=place) as watch:
        for i, (x, y) in enumerate(batches(5)):
            loss = F.cross_entropy(model(x), y)
            optimiser.zero_grad()
            loss.backward()
            watch.log(loss=float(i))
            optimiser.step()
        watch.log(validation_loss=0.5)
    for h in (watch.history, unbend.open_history(place)):
        assert h.steps.tolist() == [1, 4]
        assert h.value("loss").tolist() == [0.0, 2.0]  # of steps 2 to 4: that of step 5 is no number of step 4
        np.testing.assert_array_equal(h.value("validation_loss"), [np.nan, 0.5])
        assert np.isfinite(h.layer("2", "rms")).all()


@pytest.mark.parametrize("every", [1, 100])
def test_a_value_that_is_not_finite_in_the_first_step_of_a_run_that_goes_on_has_its_number(every):
    model = perceptron()
    watch = unbend.watch(model, every=every)
    watch.count_from(7)
    with watch:
        for x, y in batches(3):
            F.cross_entropy(model(x * torch.nan), y).backward()
            torch.optim.SGD(model.parameters(), 0.1).step()
    assert [(event.step, event.what) for event in watch.history.events] == [(8, "non-finite")]
    assert watch.history.steps[0] == 8


def test_a_logged_number_is_what_it_was_in_its_step():
    running = torch.zeros(())

    def step(loss, optimiser):
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        running.add_(1.0)

    model = perceptron()
    optimiser = torch.optim.SGD(model.parameters(), 1e-2)
    with unbend.watch(model, every=4, budget=None) as watch:
        for x, y in batches(9):
            watch.log(running=running)
            step(F.cross_entropy(model(x), y), optimiser)
    assert watch.history.value("running").tolist() == [0.0, 2.5, 6.5]
    with pytest.raises(DataError, match=r"log: expected one number for 'loss', got a tensor of shape \[2\]"):
        watch.log(loss=torch.ones(2))


def test_compiling_and_pauses_buy_no_questions_about_rows():
    schedule = Schedule(1, 0.02)
    schedule.note(90.0, 0.5)  # a graph is compiled, and the first snapshot sets up much
    for step in range(2, 40):
        schedule.note(600.0 if step == 20 else 0.02, 0.001)
    assert schedule.share_spent() == pytest.approx(0.05, rel=0.1)


def test_a_pause_between_steps_buys_no_burst_of_snapshots():
    schedule = Schedule(None, 0.02)
    reported = []
    for step in range(1, 2001):
        is_reported = step >= schedule.next
        if is_reported:
            schedule.plan(step, schedule.wish())
            reported.append(step)
        pause = 600.0 if step == 1000 else 0.0  # a validation of ten minutes
        schedule.note(0.02 + 0.05 * is_reported + pause, 0.05 if is_reported else None)
    assert np.diff(reported)[2:].min() >= 115


def test_parameters_have_hooks_in_steps_that_are_reported_only():
    model, seen = perceptron(), []

    def step(loss, optimiser):
        optimiser.zero_grad()
        seen.append(sum(len(p._post_accumulate_grad_hooks or ()) for p in model.parameters()))
        loss.backward()
        optimiser.step()

    h = train(model, n=7, every=3, step=step).history
    n = len(list(model.parameters()))  # a backward pass may reach any of them alone
    assert h.steps.tolist() == [1, 4, 7]
    assert seen == [n, 0, 0, n, 0, 0, n]
    assert (h.value("gradient") > 0).all()


def test_settings_out_of_range_are_refused_by_name():
    with pytest.raises(DataError, match="every: expected at least 1"):
        unbend.watch(perceptron(), every=0)
    with pytest.raises(DataError, match="budget: expected a share"):
        unbend.watch(perceptron(), budget="little")
    with unbend.watch(perceptron()) as watch:
        pass
    watch._snapshots.append(None)
    with pytest.raises(DataError, match="not used yet"):
        watch.__enter__()
