from dataclasses import fields, is_dataclass

import numpy as np
import pytest
import torch

from unbend.study.study import study

torch.set_num_threads(1)


def is_same(a, b):  # noqa: PLR0911
    """Bit by bit: types, dtypes, shapes, NaNs."""
    if isinstance(a, str):
        return isinstance(b, str) and str(a) == str(b)
    if type(a) is not type(b):
        return False
    if isinstance(a, np.ndarray):
        return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()
    if isinstance(a, torch.Tensor):
        bits = (t.contiguous().view(-1).view(torch.uint8) if t.numel() else t for t in (a, b))
        return a.dtype == b.dtype and a.shape == b.shape and torch.equal(*bits)
    if isinstance(a, float):
        return a.hex() == b.hex()
    if isinstance(a, dict):
        return list(a) == list(b) and all(is_same(a[key], b[key]) for key in a)
    if isinstance(a, tuple | list):
        return len(a) == len(b) and all(map(is_same, a, b))
    if is_dataclass(a):
        a, b = (v.settle() if hasattr(v, "settle") else v for v in (a, b))
        return all(is_same(getattr(a, f.name), getattr(b, f.name)) for f in fields(a))
    return a == b


@pytest.fixture
def same():
    return is_same


def rows(n=240, *, seed=0):
    x = torch.randn(n, 5, generator=torch.Generator().manual_seed(seed))
    return x, (x[:, 0] > 0).long() + (x[:, 1] > 0.5).long()


def net(n_out=3):
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(5, 8), torch.nn.ReLU(), torch.nn.Linear(8, n_out))


@pytest.fixture(scope="session")
def classified():
    return study(net(), rows(), loss=torch.nn.CrossEntropyLoss(reduction="none"), name="toy")


@pytest.fixture(scope="session")
def regressed():
    x, _ = rows()
    return study(net(2), (x, x[:, :2].double().square()), name="toy")


@pytest.fixture
def saved(classified, tmp_path):
    from unbend.record import save

    save(classified, tmp_path / "toy.unbend")
    return tmp_path / "toy.unbend"
