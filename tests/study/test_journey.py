"""One batch, from the hook to a State: the files that `docs/design.md` names, and no other on the way down."""

import sys
from itertools import groupby
from pathlib import Path

import torch
from torch import nn

import unbend
from unbend.numerics import compiled
from unbend.numerics.histogram import HistogramState

ROOT = Path(unbend.__file__).parent


def way_here():
    """The files of unbend between the hook and the caller of this function, downwards."""
    frame, files = sys._getframe(2), []
    while frame is not None:
        path = Path(frame.f_code.co_filename)
        if path.is_relative_to(ROOT):
            files.append(str(path.relative_to(ROOT).with_suffix("")))
        if files and files[-1] == "capture/taps":
            break
        frame = frame.f_back
    return [file for file, _ in groupby(reversed(files))]


def test_a_batch_goes_down_through_five_files(monkeypatch):
    ways = {"in place": [], "default": []}
    run_at, of = compiled.run_at, HistogramState.of.__func__

    def run(*addresses):
        ways["in place"].append(way_here())
        return run_at(*addresses)

    def make(kind, batch):
        ways["default"].append(way_here())
        return of(kind, batch)

    monkeypatch.setattr(compiled, "run_at", run)
    monkeypatch.setattr(HistogramState, "of", classmethod(make))
    torch.manual_seed(0)
    x = torch.randn(64, 8)
    net = nn.Sequential(nn.Linear(8, 6), nn.ReLU(), nn.Linear(6, 2))
    unbend.study(net, (x, (x[:, 0] > 0).long()), measures=["moments", "activity", "histogram"], twin=False)
    down = ["capture/taps", "study/fold", "numerics/streaming/layer"]
    told = (ROOT.parents[1] / "docs" / "design.md").read_text()
    assert all(file.rpartition("/")[2] in told for file in down)
    # The compiled code, and the file of the State, are the fifth.
    assert [*down, "numerics/streaming/in_place"] in ways["in place"]
    assert [*down, "numerics/streaming/accumulator"] in ways["default"]
    of_layers = [way for found in ways.values() for way in found if way[0] == "capture/taps"]
    assert all(len(way) == 4 for way in of_layers)
