"""Error against width, and what breaks it."""

from dataclasses import replace

import pytest
import torch
from matplotlib import rc_context
from matplotlib.figure import Figure

from unbend import zoo
from unbend.lab import width as lab
from unbend.plot.style import RC


@pytest.fixture(scope="module")
def result(quick):
    return quick("width")


def test_held_out_labels_by_chance_break_it(monkeypatch):
    made = zoo.data

    def shuffled(*name, **options):
        data = made(*name, **options)
        return replace(data, y_test=data.y_test[torch.randperm(len(data.y_test), generator=torch.Generator())])

    monkeypatch.setattr(zoo, "data", shuffled)
    assert not lab.holds(lab.run(0, "quick")).passed


def test_right_labels_in_both_cases_break_it(monkeypatch):
    monkeypatch.setattr(lab, "spoil", lambda y, share, seed: y)
    failed = lab.holds(lab.run(0, "quick")).failed
    assert any("by chance" in what for what in failed)


def test_spoiled_labels_are_a_share_of_all():
    y = torch.zeros(10_000, dtype=torch.int64)
    assert float((lab.spoil(y, 0.5, 1) != 0).double().mean()) == pytest.approx(0.45, abs=0.03)
    assert torch.equal(lab.spoil(y, 0.0, 1), y)


def test_the_figure(result):
    figure = Figure()
    with rc_context(RC):
        lab.draw(result, figure)
    clean, wrong = figure.axes
    assert clean.get_ylabel() == "error (% of samples)"
    assert clean.get_xlabel() == wrong.get_xlabel() == "hidden units"
    assert "by hidden units; right labels: " in lab.finding(result)
