"""`unbend regions` from the command line to the file: what is told, what is written, what is refused."""

import json
import re
import sys

import numpy as np
import pytest

from unbend import zoo
from unbend.cli import main
from unbend.errors import TiesError
from unbend.study import regions

NET = """
import torch
from torch import nn

torch.manual_seed(0)
small = nn.Sequential(nn.Linear(2, 6), nn.ReLU(), nn.Linear(6, 4), nn.ReLU(), nn.Linear(4, 2))
normed = nn.Sequential(nn.Linear(2, 6), nn.LayerNorm(6), nn.ReLU(), nn.Linear(6, 2))
"""


@pytest.fixture
def net(tmp_path, monkeypatch):
    (tmp_path / "net.py").write_text(NET, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", sys.path.copy())
    monkeypatch.setenv("COLUMNS", "200")
    return str(tmp_path / "net.py")


def run(*arguments):
    """The exit status."""
    with pytest.raises(SystemExit) as left:
        main(["regions", *arguments])
    return left.value.code or 0


def test_a_page_with_a_proof(net, tmp_path, capsys):
    assert run(f"{net}:small", "--prove", "-o", "out.html") == 0
    told = capsys.readouterr().out
    assert "regions" in told.splitlines()[0]
    assert "Proved (float64 bounds)" in told
    assert "class areas" in told
    page = (tmp_path / "out.html").read_text(encoding="utf-8")
    assert f"{told.split()[0]} regions" in page


def test_a_window_with_too_many_regions_becomes_smaller_and_complete(net, tmp_path, capsys):
    assert run(f"{net}:small", "-o", "whole.html") == 0
    n = int(capsys.readouterr().out.split()[0])
    assert run(f"{net}:small", "--max-cells", str(n // 2), "-o", "part.html") == 0
    out, err = capsys.readouterr()
    assert 1 < int(out.split()[0]) <= n // 2
    assert "Not complete" not in out
    assert f"more than {n // 2} regions. Shown is its middle" in err
    window = json.loads(re.search('id="data">(.*?)</script>', (tmp_path / "part.html").read_text("utf-8"))[1])["window"]
    assert window[2] - window[0] < 2
    assert run(f"{net}:small", "--max-cells", str(n // 2), "--box=-1,1,-1,1", "-o", "box.html") == 0
    assert "Not complete" in capsys.readouterr().out, "a window that was asked for is kept"


def test_a_picture_with_samples_in_a_box(net, tmp_path, capsys):
    rng = np.random.default_rng(0)
    np.savez(tmp_path / "points.npz", x=rng.standard_normal((20, 2)).astype(np.float32), y=np.arange(20) % 2)
    assert run(f"{net}:small", "--data", "points.npz", "--box=-1,1,-1,1", "--prove", "-o", "out.svg") == 0
    assert "Proved" in capsys.readouterr().out
    assert "<svg" in (tmp_path / "out.svg").read_text(encoding="utf-8")


def test_without_a_model_the_moons_net_is_shown_with_its_data(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert run("--prove") == 0
    assert "Proved (float64 bounds)" in capsys.readouterr().out
    page = (tmp_path / "regions.html").read_text(encoding="utf-8")
    assert "2-16-16-2 ReLU net, trained just now" in page
    assert len(json.loads(re.search(r'"points":(\[\[.*?\]\])', page)[1])) == len(zoo.moons().x_train)


def test_data_without_a_model_are_refused(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert run("--data", "digits") == 2
    assert "a model is needed beside --data" in " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["normed"], "layer_norm divides by a statistic"),
        (["small", "--box", "1,0,0,1"], "x0 < x1"),
        (["small", "-o", "out.txt"], "expected .html"),
        (["missing"], "missing"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(net, tmp_path, capsys, arguments, sentence):
    assert run(f"{net}:{arguments[0]}", *arguments[1:]) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert sentence in told.err
    assert "Traceback" not in told.err
    assert not (tmp_path / "regions.html").exists()


def test_a_plane_with_too_many_ties_is_moved_by_a_hair(net, tmp_path, capsys, monkeypatch):
    x = np.random.default_rng(0).standard_normal((3, 4))
    np.savez(tmp_path / "data.npz", x=x, y=np.arange(3))
    (tmp_path / "net.py").write_text(NET + "four = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 2))\n")
    planes, real = [], regions.cells

    def tied(made, plane, **options):
        planes.append(plane)
        if len(planes) == 1:
            raise TiesError("ties")
        return real(made, plane, **options)

    monkeypatch.setattr(regions, "cells", tied)
    assert run(f"{net}:four", "--data", "data.npz", "-o", "out.svg") == 0
    told = capsys.readouterr()
    assert "moved by a millionth" in told.err
    assert "regions" in told.out
    first, second = planes
    gap = np.abs(second.lift(second.corners) - first.lift(first.corners)).max()
    assert 0 < gap < 1e-5 * np.abs(first.corners).max()
