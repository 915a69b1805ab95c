"""What a process has set, or does meanwhile, does not change a study."""

import threading
from contextlib import ExitStack, contextmanager

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from unbend.errors import DataError
from unbend.numerics.moments import Moments
from unbend.numerics.readout import Readout
from unbend.study.study import study

X = torch.randn(400, 5, generator=torch.Generator().manual_seed(0))
Y = (X[:, 0] > 0).long()


def net(k=2):
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(5, 8), nn.ReLU(), nn.Linear(8, k))


def numbers(found):
    return [
        (layer.result(Moments).n, layer.result(Moments).mean.tolist(), layer.result(Readout).weight.tolist())
        for layer in found.layers
    ]


@pytest.fixture(scope="module")
def usual():
    return numbers(study(net(), (X, Y)))


@contextmanager
def default_device(device):
    torch.set_default_device(device)
    try:
        yield
    finally:
        torch.set_default_device(None)


@contextmanager
def default_dtype(dtype):
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


@pytest.mark.parametrize(
    "setting",
    [
        lambda: default_device("meta"),
        lambda: default_device("cpu"),
        lambda: torch.device("meta"),
        lambda: np.errstate(all="raise"),
        lambda: default_dtype(torch.float64),
        torch.inference_mode,
    ],
    ids=["default device meta", "default device cpu", "a block on meta", "seterr", "float64", "inference mode"],
)
def test_what_the_process_has_set_changes_no_number_and_stays(usual, setting):
    model = net()
    with ExitStack() as stack:
        stack.enter_context(setting())
        before = torch.get_default_device(), torch.get_default_dtype(), np.geterr(), torch.is_inference_mode_enabled()
        found = study(model, (X, Y))
        after = torch.get_default_device(), torch.get_default_dtype(), np.geterr(), torch.is_inference_mode_enabled()
    assert numbers(found) == usual
    assert before == after


@pytest.mark.parametrize("scale", [1e300, 1e38, 1e-155, 1e-300])
@pytest.mark.parametrize("form", [lambda *d: d, lambda *d: DataLoader(TensorDataset(*d), batch_size=64)])
def test_numbers_whose_squares_are_none_are_refused(scale, form):
    with pytest.raises(DataError, match=r"^data: expected labels between 1e-150 and 1e\+37, got .* in row 0"):
        study(net(1), form(X, X[:, :1].double() * scale))
    with pytest.raises(DataError, match=r"^data: expected values between 1e-150 and 1e\+37, got .* in row 0"):
        study(net(1).double(), form(X.double() * scale, X[:, :1].double()))


def test_large_numbers_whose_squares_are_some_are_read():
    found = study(net(1), (X, X[:, :1].double() * 1e36), twin=False)
    assert found["input"].result(Readout).held_out == pytest.approx(1)


@contextmanager
def meanwhile(act):
    """`act` again and again in another thread; torch may raise where hooks change under it, as it would anywhere."""
    stop = threading.Event()

    def run():
        while not stop.is_set():
            try:
                act()
            except RuntimeError as error:
                assert "mutated" in str(error)  # noqa: PT017
            stop.wait(0.0005)  # else the two wait for each other most of the time

    other = threading.Thread(target=run)
    other.start()
    try:
        yield
    finally:
        stop.set()
        other.join()


class Functional(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.first, self.last = nn.Linear(5, 8), nn.Linear(8, 2)

    def forward(self, x):
        return self.last(torch.relu(self.first(x)))


def bent():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(5, 8), nn.GELU(), nn.Linear(8, 2))


@pytest.mark.parametrize("make", [net, Functional, bent])
@pytest.mark.parametrize("part", [lambda model: model, lambda model: next(model.children())], ids=["whole", "a layer"])
def test_another_thread_that_runs_the_model_is_not_heard(make, part):
    how = {"batch_size": 16, "measures": ["moments", "readout"], "twin": False}  # the twin is another module
    alone = numbers(study(make(), (X, Y), **how))
    model = make()
    served = torch.full((64, 5), 1e3)
    with meanwhile(lambda: part(model)(served)):
        for _ in range(3):
            assert numbers(study(model, (X, Y), **how)) == alone


def test_studies_of_one_model_at_once_are_all_right_and_leave_it_in_training():
    model = net()
    alone = numbers(study(net(), (X, Y), batch_size=16))
    found = []
    threads = [threading.Thread(target=lambda: found.append(study(model, (X, Y), batch_size=16))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [numbers(one) for one in found] == [alone] * 4
    assert all(module.training for module in model.modules())
    assert not model._forward_hooks
