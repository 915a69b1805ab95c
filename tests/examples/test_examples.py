"""Every example runs, and ends with the weights of a run that nobody watched."""

import os
import subprocess
import sys
from contextlib import contextmanager
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path

import numpy as np
import pytest
import torch
from matplotlib.lines import AxLine
from tests.children import script, start

import unbend
from unbend.study.history.values import RunHistory
from unbend.study.watch import Watch

ROOT = Path(__file__).parents[2]
PLACE = ROOT / "examples"
FEW = {
    "plain_loop": {"epochs": 1}, "lightning_trainer": {"epochs": 1}, "hugging_face_trainer": {"steps": 12},
    "skorch_net": {"epochs": 1}, "accelerate_loop": {"epochs": 1}, "keras_fit": {"epochs": 1},
}  # fmt: skip
"""Examples that run here, and how little of them tells; the others run in processes of their own."""
IN_A_CHILD = ("compiled_model", "ddp_torchrun")
NEEDS = {
    "lightning_trainer": "lightning", "hugging_face_trainer": "accelerate", "skorch_net": "skorch",
    "accelerate_loop": "accelerate", "keras_fit": "keras", "keras_article": "keras",
}  # fmt: skip
pytestmark = pytest.mark.filterwarnings("ignore")
"""Trainers warn of their own; one worker loads their libraries."""


def example(name):
    spec = spec_from_file_location(f"example_{name}", PLACE / f"{name}.py")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@contextmanager
def nobody_watches():
    """Watches that set no hook and count no step."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Watch, "__enter__", lambda self: self)
        patch.setattr(Watch, "__exit__", lambda *_: None)
        patch.setattr(Watch, "step", lambda *_: None)
        patch.setattr(Watch, "begin", lambda *_: None)
        patch.setattr(RunHistory, "value", lambda *_: np.zeros(1))  # examples print what they saw
        patch.setattr(RunHistory, "layer", lambda *_: np.zeros(1))
        patch.setattr(unbend, "report_run", lambda *_: None, raising=False)
        yield


def weights(model):
    if hasattr(model, "get_weights"):
        return [torch.from_numpy(w.copy()) for w in model.get_weights()]
    return list(model.state_dict().values())


def needed(name, monkeypatch):
    """Skip where the library of an example is not installed."""
    library = NEEDS.get(name, "torch")
    if find_spec(library) is None:
        pytest.skip(f"{library} is not installed")
    if library == "keras":
        monkeypatch.setenv("KERAS_BACKEND", "torch")
        if "keras" in sys.modules and sys.modules["keras"].backend.backend() != "torch":
            pytest.skip("keras runs on another backend here")


@pytest.mark.parametrize("name", FEW)
def test_an_example_runs_and_is_the_same_without_its_watch(name, tmp_path, monkeypatch):
    needed(name, monkeypatch)
    monkeypatch.chdir(tmp_path)
    main = example(name).main
    model, watch = main(**FEW[name])
    assert len(watch.history.snapshots) >= 2
    assert unbend.open_history(tmp_path / "run.unbend").steps.tolist() == watch.history.steps.tolist()
    (tmp_path / "run.unbend").unlink()
    with nobody_watches():
        other, unwatched = main(**FEW[name])
    assert not unwatched.history.snapshots
    bare = weights(other)
    assert len(bare) > 2
    assert all(torch.equal(one, other) for one, other in zip(weights(model), bare, strict=True))


def test_the_network_of_the_articles_is_drawn(tmp_path, monkeypatch, capsys):
    needed("keras_article", monkeypatch)
    monkeypatch.chdir(tmp_path)
    model, net = example("keras_article").main(2)
    assert "in the input plane: Overlap" in capsys.readouterr().out
    assert torch.equal(net.hidden.weight, model.get_layer("hidden").kernel.value.detach().T)
    left, right = example("keras_article").draw(net, np.eye(2), np.eye(2), np.arange(2)).axes
    assert [len([line for line in axes.lines if isinstance(line, AxLine)]) for axes in (left, right)] == [2, 1]
    for line, w, b in zip(left.lines[2:], net.hidden.weight.detach(), net.hidden.bias.detach(), strict=True):
        point = torch.tensor(line.get_xy1())
        for on_it in (point, point + torch.tensor([1.0, line.get_slope()])):
            assert abs(float(w.double() @ on_it.double() + b)) < 1e-5
    assert (tmp_path / "article_0.001.png").stat().st_size > 20_000


@pytest.mark.parametrize("name", IN_A_CHILD)
def test_an_example_runs_in_a_process_of_its_own(name, tmp_path):
    """Graphs would hold the checks of these tests, and ranks are processes."""
    few = {"compiled_model": "40, backend='eager'", "ddp_torchrun": "20"}[name]
    (tmp_path / "run.py").write_text(
        f"import sys; sys.path.insert(0, {str(PLACE)!r}); import {name}; {name}.main({few})"
    )
    if name == "ddp_torchrun":
        words = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "run.py"]
        env = os.environ | {"PYTHONPATH": str(ROOT / "src"), "OMP_NUM_THREADS": "1"}
        done = subprocess.run(
            [sys.executable, *words], cwd=tmp_path, env=env, capture_output=True, text=True, timeout=300, check=False
        )
    else:
        done = start(script, "run.py", cwd=tmp_path, env={"OMP_NUM_THREADS": "1"}).ended()
    assert done.returncode == 0, done.stderr[-3000:]
    assert {"compiled_model": "read-out of layer 3", "ddp_torchrun": "2 ranks, 2 snapshots"}[name] in done.stdout


def test_every_example_is_run_here():
    assert {path.stem for path in PLACE.glob("*.py")} == {*FEW, *IN_A_CHILD, "keras_article"}
