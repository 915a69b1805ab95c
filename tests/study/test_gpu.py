"""A study is the same wherever its tensors are: compiled code on the CPU, plain torch on the CPU and on a GPU."""

import gc
import sys
from dataclasses import fields, is_dataclass

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from unbend.cli.main import main
from unbend.numerics import compiled, sweep
from unbend.numerics.compiled import kernels, running
from unbend.numerics.sample import SampleState
from unbend.study.study import study

torch.set_num_threads(1)
N = 240
ROUNDING = {"mlp": 1e-9, "cnn": 1e-6, "transformer": 1e-9}
"""Two orders of summing the same values in float64, relative to the largest of an array; the mean over the positions
of a map is rounded to float32 after that."""
FLOAT32 = 1e-4
"""Two orders of summing in float32 inside a forward pass of a few layers, relative to the largest of an array."""
BORDERLINE = 2e-3
"""Share of values, or of rows, that such a difference may carry over an edge: a zero, a bin, a decision."""
EXACT = ("n", "n_train", "n_held_out", "n_fit", "ids", "codes", "size", "layers", "width")

gpu = pytest.mark.gpu
needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")


class Reader(nn.Module):
    """Token numbers in, one of three classes out."""

    def __init__(self):
        super().__init__()
        self.words = nn.Embedding(20, 16)
        self.block = nn.TransformerEncoderLayer(16, 2, 32, dropout=0.0, batch_first=True)
        self.head = nn.Linear(16, 3)

    def forward(self, x):
        return self.head(self.block(self.words(x)).mean(1))


def rows(name):
    draw = torch.Generator().manual_seed(0)
    y = torch.arange(N) % 3
    if name == "transformer":
        x = torch.randint(0, 20, (N, 6), generator=draw)
        return torch.where(torch.rand(N, 6, generator=draw) < 0.5, y[:, None], x), y
    x = torch.randn(N, *{"mlp": (6,), "cnn": (1, 8, 8)}[name], generator=draw)
    x.flatten(1)[:, 0] += 2 * y
    return x, y


def net(name):
    torch.manual_seed(0)
    if name == "mlp":
        return nn.Sequential(nn.Linear(6, 12), nn.ReLU(), nn.Linear(12, 8), nn.GELU(), nn.Linear(8, 3))
    if name == "cnn":
        return nn.Sequential(
            nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(4, 6, 3), nn.Tanh(),
            nn.Flatten(), nn.Linear(24, 3),
        )  # fmt: skip
    return Reader()


NETS = pytest.mark.parametrize("name", ["mlp", "cnn", "transformer"])


def studied(name, *, device="cpu", dtype=torch.float32, **settings):
    loss = nn.functional.cross_entropy
    with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
        return study(
            net(name).to(device, dtype), rows(name), **{"loss": loss, "batch_size": 64, "trials": False, **settings}
        )


def assert_same(a, b, *, rtol, borderline=0.0, where=""):
    """Numbers to a tolerance, counts up to a share of borderline values, what names rows and sizes exactly."""
    assert type(a) is type(b), where
    if isinstance(a, SampleState):
        assert np.array_equal(a.settle().ids, b.settle().ids), where
        a, b = a.table(), b.table()
    if is_dataclass(a):
        a, b = ({f.name: getattr(part, f.name) for f in fields(part)} for part in (a, b))
    if isinstance(a, dict):
        assert a.keys() == b.keys(), where
        for key in a:
            share = 0.0 if key in EXACT else borderline
            assert_same(a[key], b[key], rtol=rtol, borderline=share, where=f"{where}.{key}")
    elif isinstance(a, tuple):
        assert len(a) == len(b), where
        for i, (x, y) in enumerate(zip(a, b, strict=True)):
            assert_same(x, y, rtol=rtol, borderline=borderline, where=f"{where}[{i}]")
    elif isinstance(a, (Tensor, np.ndarray, float, int)):
        assert_near(np.asarray(a), np.asarray(b), rtol=rtol, borderline=borderline, where=where)
    else:
        assert a == b, where


def assert_near(a, b, *, rtol, borderline, where):
    a, b = np.broadcast_arrays(a, b)  # one column may stand for all units
    if a.dtype.kind == "f":
        scale = np.abs(b[np.isfinite(b)]).max(initial=0.0)
        np.testing.assert_allclose(a, b, rtol=rtol, atol=rtol * scale, err_msg=where)
    else:
        odd = np.abs(a.astype(np.int64) - b.astype(np.int64)).sum()
        assert odd <= borderline * max(np.abs(b.astype(np.int64)).sum(), a.size), (where, odd)


def assert_same_study(a, b, *, rtol, borderline=0.0):
    assert [(layer.name, layer.kind, layer.shape) for layer in a.layers] == [
        (layer.name, layer.kind, layer.shape) for layer in b.layers
    ]
    how = {"rtol": rtol, "borderline": borderline}
    assert_same(a.sums.train, b.sums.train, **how, where="train")
    assert_same(a.sums.held_out, b.sums.held_out, **how, where="held out")
    assert_same(a.sums.gradient, b.sums.gradient, **how, where="gradient")
    flips = max(borderline, rtol)
    for mine, other in zip(a.layers, b.layers, strict=True):
        x, y = mine.results["readout"], other.results["readout"]
        assert [x.held_out, x.train] == pytest.approx([y.held_out, y.train], abs=2 / x.n_held_out if borderline else 0)
        assert mine.results["moments"].rms == pytest.approx(other.results["moments"].rms, rel=rtol)
        assert mine.results["scatter"].fisher == pytest.approx(other.results["scatter"].fisher, rel=100 * flips)
    assert {(f.rule, f.layer) for f in a.findings} == {(f.rule, f.layer) for f in b.findings}


@pytest.fixture
def plain(monkeypatch):
    """No compiled sum can be called, as if every tensor were on a device that has none."""
    has_kernel = sweep.has_kernel
    for name, module in list(sys.modules.items()):
        if name.startswith("unbend.") and getattr(module, "has_kernel", None) is has_kernel:
            monkeypatch.setattr(module, "has_kernel", lambda _x: False)
    for module, names in ((kernels, "sweep_rows sweep_maps judge"), (running, "run_at collect mean_of put")):
        for name in names.split():
            monkeypatch.delattr(module, name)
            monkeypatch.delitem(vars(compiled), name, raising=False)


@NETS
def test_plain_torch_gives_what_compiled_code_gives(name, request):
    compiled = studied(name)
    request.getfixturevalue("plain")
    assert_same_study(studied(name), compiled, rtol=ROUNDING[name])


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_without_compiled_code(dtype, request):
    compiled = studied("mlp", dtype=dtype)
    request.getfixturevalue("plain")
    assert_same_study(studied("mlp", dtype=dtype), compiled, rtol=ROUNDING["mlp"])


@gpu
@needs_cuda
@NETS
def test_a_gpu_gives_what_the_cpu_gives(name):
    on_gpu, on_cpu = studied(name, device="cuda", twin=False), studied(name, twin=False)
    assert_same_study(on_gpu, on_cpu, rtol=FLOAT32, borderline=BORDERLINE)


@gpu
@needs_cuda
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@NETS
def test_half_precision_on_a_gpu(name, dtype):
    half, full = studied(name, device="cuda", dtype=dtype), studied(name, device="cuda")
    for mine, other in zip(half.layers, full.layers, strict=True):
        assert mine.results["moments"].rms == pytest.approx(other.results["moments"].rms, rel=0.02)
        assert mine.results["readout"].held_out == pytest.approx(other.results["readout"].held_out, abs=0.1)
    assert all(layer.twin for layer in half.layers)


@gpu
@needs_cuda
def test_proofs_and_probes_on_a_gpu():
    on_gpu, on_cpu = (studied("mlp", device=where, proofs=True, probes=True, twin=False) for where in ("cuda", "cpu"))
    for mine, other in zip(on_gpu.layers, on_cpu.layers, strict=True):
        assert mine.results.keys() == other.results.keys()
    assert on_gpu.across.keys() == on_cpu.across.keys()


@gpu
@needs_cuda
def test_nothing_stays_on_a_gpu_but_the_model():
    made = studied("mlp", device="cuda")  # the workspaces that torch keeps for its own use are made here
    del made
    gc.collect()
    model = net("mlp").cuda()
    before = torch.cuda.memory_allocated()
    made = study(model, rows("mlp"), loss=nn.functional.cross_entropy, batch_size=64)
    gc.collect()
    assert torch.cuda.memory_allocated() == before
    assert all(p.is_cuda and p.grad is None for p in model.parameters())
    del made


@gpu
@needs_cuda
def test_the_command_line_with_a_factory_that_puts_the_model_on_a_gpu(tmp_path, monkeypatch, capsys):
    x, y = rows("mlp")
    np.savez(tmp_path / "data.npz", x=x.numpy(), y=y.numpy())
    (tmp_path / "net.py").write_text(
        "import torch\ndef net():\n"
        "    return torch.nn.Sequential(torch.nn.Linear(6, 8), torch.nn.ReLU(), torch.nn.Linear(8, 3)).cuda()\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", sys.path.copy())
    with pytest.raises(SystemExit) as left:
        main(["report", "net.py:net", "data.npz", "-o", "page.html", "--save", "run.unbend"])
    assert not left.value.code, capsys.readouterr().err
    assert (tmp_path / "page.html").read_text(encoding="utf-8").startswith("<!doctype html>")
    assert (tmp_path / "run.unbend").is_file()
