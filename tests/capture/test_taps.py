"""Hooks: what they hand over is what the layer put out, whatever happens to it later; nothing stays behind."""

import copy
import gc
import pickle
import weakref

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from unbend.capture import call, plan, quiet, representations, tapped

X = torch.randn(6, 4, generator=torch.Generator().manual_seed(0))


def seeded(net):
    torch.manual_seed(1)
    for p in net.parameters():
        nn.init.normal_(p, std=0.7)
    return net.eval()


def caught(net, x=X, n=6, **kw):
    out = {}
    taps = plan(net, x, n, **kw).taps
    with quiet(net), tapped(net, taps, lambda tap, got: out.setdefault(tap.name, []).append(got)):
        call(net, x)
    assert all(len(v) == 1 for v in out.values())
    assert set(out) == {tap.name for tap in taps}
    return {name: got[0] for name, got in out.items()}


def hooks_on(net):
    names = ("_forward_hooks", "_forward_pre_hooks", "_forward_hooks_with_kwargs", "_forward_hooks_always_called")
    return sum(len(getattr(m, name)) for m in net.modules() for name in names)


# In-place: the numbers of a layer are those it put out


class InPlace(nn.Module):
    """Every way to overwrite a tensor that a tool might have kept."""

    def __init__(self, way):
        super().__init__()
        self.a, self.b, self.act = nn.Linear(4, 5), nn.Linear(5, 3), nn.ReLU(inplace=True)
        self.way = way

    def forward(self, x):
        h = self.a(x)
        h = self.way(h) if self.way else self.act(h)
        return self.b(h)


WAYS = {
    "module": None, "F.relu": lambda h: F.relu(h, inplace=True), "F.relu positional": lambda h: F.relu(h, True),
    "F.relu keyword": lambda h: F.relu(input=h, inplace=True), "relu_": torch.relu_, "method": lambda h: h.relu_(),
    "mul_": lambda h: h.mul_(h > 0),
}  # fmt: skip


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_a_linear_layers_values_are_those_before_the_in_place_activation(way):
    net = seeded(InPlace(way))
    rows = representations(net, X)
    pre = F.linear(X, net.a.weight, net.a.bias)
    assert pre.min() < 0
    assert torch.equal(rows["a"], pre)
    assert torch.allclose(rows["b"], net.b(pre.clamp(min=0)))
    after = [name for name in rows if name not in {"a", "b"}]
    assert len(after) == (0 if way is WAYS["mul_"] else 1)
    assert all(torch.equal(rows[name], pre.clamp(min=0)) for name in after)


class Swish(nn.Module):
    """A user's own activation that works in place and says so nowhere."""

    def forward(self, x):
        return x.mul_(torch.sigmoid(x))


def without_parameters(act):
    return seeded(nn.Sequential(nn.Linear(4, 5), act, nn.Linear(5, 2)))


@pytest.mark.parametrize("act", [nn.SiLU(inplace=True), nn.SiLU(), nn.GELU(), nn.Mish(inplace=True), Swish()], ids=str)
def test_the_input_of_an_activation_that_falls_is_kept_as_it_was(act):
    net = without_parameters(act)
    pre = F.linear(X, net[0].weight, net[0].bias).detach()
    got = caught(net)
    assert -5 < got["1"].saturation.low < -1
    assert torch.equal(got["1"].saturation.pre, pre)
    assert plan(net, X, 6).taps[1].in_place is (getattr(act, "inplace", False) or isinstance(act, Swish))


class GeluInForward(nn.Module):
    def __init__(self, call):
        super().__init__()
        self.a, self.call = nn.Linear(4, 5), call

    def forward(self, x):
        return self.call(self.a(x))


@pytest.mark.parametrize(
    ("name", "function"),
    [
        ("gelu", F.gelu), ("silu", lambda h: F.silu(h, inplace=True)), ("silu", lambda h: F.silu(input=h)),
        ("mish", F.mish), ("hardswish", lambda h: F.hardswish(h, inplace=True)),
    ],
)  # fmt: skip
def test_functional_activations_that_fall_keep_their_input_too(name, function):
    net = seeded(GeluInForward(function))
    got = caught(net)
    assert torch.equal(got[name].saturation.pre, F.linear(X, net.a.weight, net.a.bias))


def test_inputs_are_only_copied_where_they_would_be_overwritten_and_are_needed():
    for act, copied in ((nn.ReLU(inplace=True), None), (nn.SiLU(), False), (nn.SiLU(inplace=True), True)):
        net = seeded(nn.Sequential(nn.Linear(4, 5), act))
        got, seen = {}, {}
        handle = net[0].register_forward_hook(lambda _m, _a, out, seen=seen: seen.update(out=out.data_ptr()))
        with quiet(net), tapped(net, plan(net, X, 6).taps, lambda tap, g, got=got: got.update({tap.name: g})):
            net(X)
        handle.remove()
        pre = got["1"].saturation.pre
        assert (pre is None) if copied is None else ((pre.data_ptr() != seen["out"]) is copied)


# Modules called more than once, shared modules, nesting


class Twice(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b, self.act = nn.Linear(4, 4), nn.Linear(4, 3), nn.ReLU()
        self.again = self.a

    def forward(self, x):
        return self.act(self.b(self.act(self.again(self.act(self.a(x))))))


def test_every_call_of_a_shared_module_is_its_own_layer():
    net = seeded(Twice())
    rows = representations(net, X)
    assert list(rows) == ["a", "act", "a#2", "act#2", "b", "act#3"]
    h = torch.relu(net.a(X))
    assert torch.equal(rows["act"], h)
    assert torch.equal(rows["a#2"], net.a(h))
    assert rows["act#3"].shape == (6, 3)
    assert [t.fed_by for t in plan(net, X, 6).taps] == [None, "a", "act", "a#2", "act#2", "b"]


def test_one_call_of_several_can_be_chosen():
    net = seeded(Twice())
    assert list(representations(net, X, layers=["act#2"])) == ["act#2"]
    assert list(representations(net, X, layers=["act"])) == ["act", "act#2", "act#3"]


def test_counts_start_again_with_every_forward_pass():
    net = seeded(Twice())
    got = []
    with quiet(net), tapped(net, plan(net, X, 6).taps, lambda tap, _got: got.append(tap.name)):
        for _ in range(3):
            net(X)
    assert got == ["a", "act", "a#2", "act#2", "b", "act#3"] * 3


# Functional activations


class Functional(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.inner, self.b = nn.Linear(4, 5), Inner(), nn.Linear(5, 3)

    def forward(self, x):
        h = torch.tanh(self.inner(F.relu(self.a(x))))
        return self.b(h).sigmoid()


class Inner(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(5, 5), nn.Identity(), nn.Sequential())

    def forward(self, x):
        return F.leaky_relu(F.relu(self.body(x)), 0.5).relu()


def test_functional_activations_are_named_by_where_they_are_called():
    net = seeded(Functional())
    rows = representations(net, X)
    assert list(rows) == [
        "a", "relu", "inner.body.0", "inner:relu", "inner:leaky_relu", "inner:relu#2", "tanh", "b", "sigmoid",
    ]  # fmt: skip
    assert torch.equal(rows["relu"], torch.relu(rows["a"]))
    assert torch.equal(rows["tanh"], torch.tanh(rows["inner:relu#2"]))
    assert torch.equal(rows["sigmoid"], torch.sigmoid(rows["b"]))


def test_bends_of_functional_activations_know_their_arguments():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.a = nn.Linear(4, 5)

        def forward(self, x):
            h = self.a(x)
            return F.leaky_relu(h, 0.01), F.leaky_relu(h, negative_slope=0.3), F.hardtanh(h, -2.0, 2.0)

    bends = [t.saturation for t in plan(Net(), X, 6).taps if t.function]
    assert [(b.low, b.high) for b in bends] == [
        (pytest.approx(0, abs=1e-3), torch.inf), (-torch.inf, torch.inf), (pytest.approx(-2), pytest.approx(2)),
    ]  # fmt: skip


def test_without_functional_taps_no_torch_function_is_intercepted():
    net = seeded(nn.Sequential(nn.Linear(4, 5), nn.ReLU()))
    with tapped(net, plan(net, X, 6).taps, lambda *_: None):
        assert torch.overrides._get_current_function_mode() is None
    net = seeded(Functional())
    with tapped(net, plan(net, X, 6).taps, lambda *_: None):
        assert torch.overrides._get_current_function_mode() is not None
    assert torch.overrides._get_current_function_mode() is None


def test_only_the_modules_needed_are_hooked():
    net = seeded(nn.Sequential(nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 5), nn.ReLU(), nn.Linear(5, 2)))
    with tapped(net, plan(net, X, 6, layers=["2"]).taps, lambda *_: None):
        hooked = [path for path, m in net.named_modules() if m._forward_hooks or m._forward_pre_hooks]
    assert hooked == ["", "2"]
    assert hooks_on(net) == 0


# Nothing stays


class Raises(nn.Module):
    def __init__(self, error):
        super().__init__()
        self.a, self.act, self.error = nn.Linear(4, 4), nn.ReLU(inplace=True), error

    def forward(self, x):
        h = self.act(self.a(x))
        if self.error is not None:
            raise self.error
        return F.relu(h)


@pytest.mark.parametrize("error", [ValueError("mine"), KeyboardInterrupt(), RuntimeError("boom")], ids=repr)
@pytest.mark.parametrize("where", ["forward", "receiver"])
@pytest.mark.parametrize("grad", [False, True])
def test_everything_is_put_back_whatever_happens(error, where, grad):
    net = Raises(None)
    taps = plan(net, X, 6).taps
    net.train()
    net.a.eval()
    own = []
    net.a.register_forward_hook(lambda *_: own.append(1))
    fast, rng = torch.backends.mha.get_fastpath_enabled(), torch.get_rng_state()
    net.error = error if where == "forward" else None

    def receive(_tap, _got):
        torch.rand(1)
        if where == "receiver":
            raise error

    with pytest.raises(type(error)), quiet(net, grad=grad), tapped(net, taps, receive):  # noqa: PT012
        assert not net.act.inplace or not grad
        assert torch.is_grad_enabled() is grad
        net(X)
    assert [m.training for m in net.modules()] == [True, False, True]
    assert net.act.inplace
    assert torch.is_grad_enabled()
    assert torch.backends.mha.get_fastpath_enabled() is fast
    assert torch.equal(torch.get_rng_state(), rng)
    assert torch.overrides._get_current_function_mode() is None
    assert hooks_on(net) == 1
    assert own == [1]


def test_a_forward_that_catches_its_own_error_is_followed_all_the_same():
    class Catches(nn.Module):
        def __init__(self):
            super().__init__()
            self.bad, self.good = Raises(ValueError("no")), nn.Linear(4, 2)

        def forward(self, x):
            try:
                h = self.bad(x)
            except ValueError:
                h = F.relu(x)
            return self.good(h)

    net = seeded(Catches())
    assert list(representations(net, X)) == ["bad.a", "bad.act", "relu", "good"]


def test_nothing_is_retained_after_the_block():
    net = seeded(nn.Sequential(nn.Linear(4, 5), nn.SiLU(inplace=True), nn.Linear(5, 2)))
    refs = []
    taps = plan(net, X, 6).taps
    with quiet(net), tapped(net, taps, lambda _tap, got: refs.append(weakref.ref(got.values))):
        net(X)
    gc.collect()
    assert len(refs) == 3
    assert all(ref() is None for ref in refs)


def test_a_hundred_passes_leave_as_many_tensors_as_one():
    net = seeded(Functional())
    taps = plan(net, X, 6).taps

    def tensors():
        gc.collect()
        return sum(issubclass(type(o), torch.Tensor) for o in gc.get_objects())

    with quiet(net), tapped(net, taps, lambda *_: None):
        net(X)
        before = tensors()
        for _ in range(100):
            net(X)
        assert tensors() <= before
    assert hooks_on(net) == 0


def test_a_plan_holds_no_activations():
    net = seeded(Functional())
    seen = []
    handle = net.a.register_forward_hook(lambda _m, _a, out: seen.append(weakref.ref(out)))
    kept = plan(net, X, 6)
    handle.remove()
    gc.collect()
    assert seen
    assert all(ref() is None for ref in seen)
    assert kept.taps


def test_a_models_own_hooks_act_and_stay():
    net = seeded(nn.Sequential(nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 2)))
    net[0].register_forward_hook(lambda _m, _a, out: out + 100)
    net[2].register_forward_pre_hook(lambda _m, args: (args[0] * 0,))
    rows = representations(net, X)
    assert torch.equal(rows["0"], F.linear(X, net[0].weight, net[0].bias) + 100)
    assert torch.equal(rows["1"], rows["0"])
    assert torch.equal(rows["2"], net[2].bias.expand(6, 2))
    assert hooks_on(net) == 2


def test_outputs_are_unchanged_by_being_looked_at():
    net = seeded(Functional())
    x = X.clone()
    bare = net(x)
    with tapped(net, plan(net, x, 6).taps, lambda *_: None):
        assert torch.equal(net(x), bare)
    assert torch.equal(net(x), bare)
    assert torch.equal(x, X)


def test_a_copy_made_inside_the_block_hears_nothing():
    net = seeded(nn.Sequential(nn.Linear(4, 5), nn.ReLU()))
    got = []
    with tapped(net, plan(net, X, 6).taps, lambda tap, _got: got.append(tap.name)):
        copies = copy.deepcopy(net), pickle.loads(pickle.dumps(net))
        for copied in copies:
            assert torch.equal(copied(X), F.relu(F.linear(X, net[0].weight, net[0].bias)))
        assert got == []
        net(X)
    assert got == ["0", "1"]


# Compiled parts and scripted parts


@pytest.mark.parametrize("early", [True, False])
def test_compiled_models_are_run_eagerly_so_that_hooks_fire(early):
    net = seeded(nn.Sequential(nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 2)))
    compiled = torch.compile(net, backend="eager")
    if early:
        compiled(X)
    assert list(representations(compiled, X)) == ["0", "1", "2"]
    assert torch.allclose(compiled(X), net(X))


def test_compiled_parts_of_a_model_are_seen_too():
    net = seeded(nn.Sequential(nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 2)))
    net[2].compile(backend="eager")
    net(X)
    assert list(representations(net, X)) == ["0", "1", "2"]
    net[0] = torch.compile(net[0], backend="eager")
    net(X)
    assert torch.equal(representations(net, X)["2"], net(X))


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_a_scripted_part_is_reported_and_the_rest_seen():
    net = seeded(nn.Sequential(nn.Linear(4, 5), torch.jit.script(nn.Sequential(nn.Linear(5, 5), nn.ReLU())), nn.Tanh()))
    places = plan(net, X, 6)
    assert [t.name for t in places.taps] == ["0", "2"]
    assert any("Never called as modules" in note and "1.0" in note for note in places.notes)


def test_the_fast_path_of_transformer_encoders_is_left_for_the_pass():
    torch.manual_seed(0)
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True, activation="gelu")
    net = nn.TransformerEncoder(layer, 2).eval()
    x = torch.randn(3, 5, 8)
    rows = representations(net, x)
    assert {"layers.0.linear1", "layers.0:gelu", "layers.0.self_attn", "layers.1.norm2"} <= set(rows)
    with torch.no_grad():
        assert torch.allclose(rows["layers.1.norm2"], net(x).mean(1), atol=1e-5)
    assert torch.backends.mha.get_fastpath_enabled()
