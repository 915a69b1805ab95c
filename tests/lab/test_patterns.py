"""Shapes at equal size, and what breaks the comparison."""

from dataclasses import replace

import pytest
import torch
from matplotlib import rc_context
from matplotlib.figure import Figure

from unbend import zoo
from unbend.lab import patterns as lab
from unbend.plot.style import RC


@pytest.fixture(scope="module")
def result(quick):
    return quick("patterns")


def test_a_layer_of_one_unit_breaks_it(monkeypatch):
    shaped = zoo.widths_of_size
    monkeypatch.setattr(zoo, "widths_of_size", lambda *shape, ends: [*shaped(*shape, ends=ends)[:-2], 1, ends[1]])
    assert not lab.holds(lab.run(0, "quick")).passed


def test_shuffled_labels_break_it(monkeypatch):
    made = zoo.data

    def shuffled(*name, **options):
        data = made(*name, **options)
        order = torch.randperm(len(data.y_train), generator=torch.Generator())
        return replace(data, y_train=data.y_train[order])

    monkeypatch.setattr(zoo, "data", shuffled)
    assert not lab.holds(lab.run(0, "quick")).passed


def test_the_shapes_are_what_they_are_called(result):
    hidden = {name: widths[1:-1] for name, widths in zip(result.names, result.widths, strict=True)}
    assert len(set(hidden["constant"])) == 1
    assert hidden["funnel"] == tuple(sorted(hidden["funnel"], reverse=True))
    assert hidden["expanding"] == tuple(sorted(hidden["expanding"]))
    assert hidden["expanding"] != hidden["constant"] != hidden["funnel"]
    first, second, third, last = hidden["bottleneck"]
    assert second == last == first // 2
    assert third == max(32, first // 4)
    assert min(min(widths) for widths in hidden.values()) >= 32


def test_the_figure(result):
    figure = Figure()
    with rc_context(RC):
        lab.draw(result, figure)
    shapes, dots, narrow = figure.axes
    assert shapes.get_ylabel() == "hidden layer"
    assert dots.get_ylabel() == narrow.get_ylabel() == "held-out accuracy (%)"
    assert narrow.get_xlabel()
    assert "funnel" in lab.finding(result)
