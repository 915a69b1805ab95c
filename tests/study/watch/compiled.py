"""What holds of compiled models, in a process of its own: checks of types at run time would stand in the graph."""

import sys
import warnings

import torch
from tests.study.watch.runs import NETS, Functional, Residual, batches, is_same, perceptron, train
from torch import nn
from torch.nn import functional as F

import unbend


class Counting:
    """A backend that runs graphs as they are and counts them."""

    def __init__(self):
        self.n = 0

    def __call__(self, graph, _inputs):
        self.n += 1
        return graph.forward


def two_graphs_and_no_break(name):
    backend = Counting()
    torch._dynamo.reset()
    torch._dynamo.utils.counters.clear()
    other = NETS[name]()
    compiled = torch.compile(other, backend=backend, fullgraph=True)
    watch = train(other, call=compiled, n=8, every=3)
    again = NETS[name]()
    torch._dynamo.reset()
    train(again, watched=False, n=8, call=torch.compile(again, backend=Counting(), fullgraph=True))
    assert is_same(again, other)
    assert not torch._dynamo.utils.counters["graph_break"]
    assert 1 <= backend.n <= 2, backend.n
    h = watch.history
    assert h.steps.tolist() == [1, 4, 7]
    eager = NETS[name]()
    plain = train(eager, n=8, every=3).history
    for layer in h.about.layers:
        for what in ("rms", "zeros", "silent", "readout", "gradient", "update"):
            torch.testing.assert_close(
                torch.from_numpy(h.layer(layer.name, what)), torch.from_numpy(plain.layer(layer.name, what)),
                rtol=1e-3, atol=1e-4, equal_nan=True)  # fmt: skip


def compiled_in_place():
    torch._dynamo.reset()
    backend = Counting()
    model = Functional()
    model.compile(backend=backend, fullgraph=True)
    h = train(model, n=6, every=2).history
    assert backend.n == 2, backend.n
    assert (h.layer("fc3", "rms") > 0).all()
    assert h.value("accuracy").shape == (3,)
    assert type(model._compiled_call_impl).__name__ != "_Compiled"


def parts_compiled():
    torch._dynamo.reset()
    model = Residual()
    for block in model.blocks:
        block.compile(backend=Counting(), fullgraph=True)
    h = train(model, n=6, every=2).history
    plain = train(Residual(), n=6, every=2).history
    for layer in plain.about.layers:
        torch.testing.assert_close(
            torch.from_numpy(h.layer(layer.name, "zeros")), torch.from_numpy(plain.layer(layer.name, "zeros")),
            rtol=1e-3, atol=1e-3, equal_nan=True)  # fmt: skip


def too_late_is_told():
    torch._dynamo.reset()
    model = perceptron()
    compiled = torch.compile(model, backend=Counting())
    compiled(next(batches(1))[0])
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        h = train(model, call=compiled, n=4, every=1).history
    assert ["compiled before hooks were set" in str(one.message) for one in told] == [True]
    assert (h.value("gradient") > 0).all()


def the_inner_model_is_told_too():
    torch._dynamo.reset()
    model = Functional()
    compiled = torch.compile(model, backend=Counting(), fullgraph=True)

    def call(x):
        return compiled(x)

    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        train(model, call=call, n=3, every=1)
    assert any("hand the compiled module" in str(one.message) for one in told)
    torch._dynamo.reset()
    model = Functional()
    compiled = torch.compile(model, backend=Counting(), fullgraph=True)

    def call_again(x):
        return compiled(x)

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        h = train(model, call=call_again, n=3, every=1, example=torch.zeros(4, 20)).history
    assert [one.name for one in h.about.layers] == ["fc1", "relu", "fc2", "relu#2", "fc3"]
    assert all((h.layer(name, "rms") > 0).all() for name in ("relu", "relu#2", "fc3"))


def a_wrapped_pass_counts_once():
    torch._dynamo.reset()
    model = Functional()
    compiled = torch.compile(model, backend=Counting(), fullgraph=True)
    optimiser = torch.optim.SGD(model.parameters(), 1e-2)
    with unbend.watch(compiled, every=1) as watch:
        for i, (x, y) in enumerate(batches(6)):
            for call in (compiled,) * (1 + i % 2) + (model,) * (i == 5):  # a loop may call the inner model too
                F.cross_entropy(call(x), y).backward()
            optimiser.step()
            optimiser.zero_grad()
    assert watch.history.value("micro_batches").tolist() == [1, 2, 1, 2, 1, 3]


def by_inductor():
    torch._dynamo.reset()
    one = nn.Sequential(nn.Linear(20, 16), nn.ReLU(), nn.Linear(16, 3))
    torch.manual_seed(0)
    other = nn.Sequential(nn.Linear(20, 16), nn.ReLU(), nn.Linear(16, 3))
    other.load_state_dict(one.state_dict())
    watch = train(other, call=torch.compile(other, fullgraph=True), n=6, every=2)
    torch._dynamo.reset()
    train(one, watched=False, call=torch.compile(one, fullgraph=True), n=6)
    assert is_same(one, other)
    assert (watch.history.layer("1", "zeros") > 0.1).all()


def copies_are_silent():
    torch._dynamo.reset()
    import copy

    model = perceptron()
    compiled = torch.compile(model, backend=Counting())
    optimiser = torch.optim.SGD(model.parameters(), 0.1)
    with unbend.watch(compiled, every=1) as watch:
        for x, y in batches(2):
            F.cross_entropy(compiled(x), y).backward()
            optimiser.step()
        twin = copy.deepcopy(model)
        twin(x)
        assert len(watch.history.snapshots) == 2


def main(case):
    """Let one case hold, or raise."""
    if case in NETS:
        two_graphs_and_no_break(case)
    else:
        globals()[case]()
    sys.stdout.write("holds\n")
