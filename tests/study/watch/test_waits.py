"""Between snapshots a watched run never waits for the device: no value is fetched, eager or in half precision."""

from collections import Counter

import pytest
import torch
from tests.study.watch.runs import NETS, batches
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

import unbend
from unbend.study.watch import parameters
from unbend.study.watch import watch as run
from unbend.study.watch.sums import SpotSums

FETCHED = frozenset(
    [
        "item",
        "tolist",
        "numpy",
        "cpu",
        "__array__",
        "__float__",
        "__int__",
        "__bool__",
        "__index__",
        "nonzero",
        "unique",
        "equal",
    ]
)
"""Methods of a tensor that wait for its device."""
SCALARS = frozenset(["_local_scalar_dense", "nonzero", "masked_select", "equal", "is_nonzero", "_unique2"])
"""Operators that do, however they are reached."""


class Methods(TorchFunctionMode):
    """Counts the calls that would wait for a device, were the tensors on one."""

    def __init__(self, seen):
        super().__init__()
        self.seen = seen

    def __torch_function__(self, func, _types, args=(), kwargs=None):
        name = getattr(func, "__name__", "")
        to_host = name == "to" and any(str(given) == "cpu" for given in (*args[1:], *(kwargs or {}).values()))
        self.seen[name] += name in FETCHED or to_host
        return func(*args, **kwargs or {})


class Operators(TorchDispatchMode):
    """The same of operators, which are also called by others, such as autograd and the optimiser."""

    def __init__(self, seen):
        super().__init__()
        self.seen = seen

    def __torch_dispatch__(self, func, _types, args=(), kwargs=None):
        name = func._schema.name.removeprefix("aten::")
        self.seen[name] += name in SCALARS
        return func(*args, **kwargs or {})


def waits(model, *, n, every, amp=False, hook=None):
    """By step, how often it waited; forward and backward pass, and all of it."""
    sgd = torch.optim.SGD(model.parameters(), 1e-2, momentum=0.9)
    if hook is not None:
        next(model.children()).register_forward_hook(hook)
    found = []
    with unbend.watch(model, every=every, budget=None) as watch:
        for x, y in batches(n):
            passes, whole = Counter(), Counter()
            with Methods(whole), Operators(whole):
                with Methods(passes), Operators(passes), torch.autocast("cpu", torch.bfloat16, enabled=amp):
                    loss = F.cross_entropy(model(x), y)
                    watch.label(y)
                    watch.log(loss=loss)
                    sgd.zero_grad()
                    loss.backward()
                sgd.step()
            found.append((passes.total(), whole.total()))
    assert len(watch.history.snapshots) == len(range(0, n, every))
    return found


@pytest.fixture
def as_on_a_device(monkeypatch):
    """Values and parameters are looked at as on a device, where nothing is read at once and nothing is numpy's."""
    monkeypatch.setattr(SpotSums, "is_eager", False)
    monkeypatch.setattr(parameters, "_is_plain", lambda _tensor: False)
    monkeypatch.setattr(run, "_is_at_hand", lambda _tensor: False)


@pytest.mark.parametrize("amp", [False, True])
@pytest.mark.parametrize("name", NETS)
def test_no_value_is_fetched_between_snapshots(name, amp, as_on_a_device):
    model = NETS[name]()
    first, *found = waits(model, n=7, every=3, amp=amp)
    assert found[:2] == found[3:5] == [(0, 0)] * 2
    assert found[2][0] == found[5][0] == 0, "a step that is reported waits in its report only"
    assert min(first[1], found[2][1], found[5][1]) > 0, "a report that fetches nothing: what counts here is blind"


def test_the_count_sees_a_hook_that_fetches():
    def fetch(_module, _args, output):
        output.sum().item()

    found = waits(NETS["perceptron"](), n=3, every=9, hook=fetch)
    assert min(passes for passes, _ in found[1:]) > 0


def test_on_the_cpu_the_output_alone_is_read_at_once():
    found = waits(NETS["functional"](), n=4, every=9)
    assert [whole for _, whole in found[2:]] == [found[1][1]] * 2
    assert 0 < found[1][1] <= 4


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="only a CUDA device has steps that wait for it")
@pytest.mark.parametrize("name", NETS)
def test_cuda_itself_finds_no_wait_between_snapshots(name):
    model = NETS[name]().cuda()
    sgd = torch.optim.SGD(model.parameters(), 1e-2, momentum=0.9)
    data = [(x.cuda(), y.cuda()) for x, y in batches(7)]
    with unbend.watch(model, every=3, budget=None) as watch:
        for step, (x, y) in enumerate(data):
            torch.cuda.set_sync_debug_mode("error" if step else "default")
            try:
                loss = F.cross_entropy(model(x), y)
                watch.label(y)
                watch.log(loss=loss)
                sgd.zero_grad()
                loss.backward()
                if step % 3 == 0:
                    torch.cuda.set_sync_debug_mode("default")
                sgd.step()
            finally:
                torch.cuda.set_sync_debug_mode("default")
    assert watch.history.steps.tolist() == [1, 4, 7]
