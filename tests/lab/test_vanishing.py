"""Gradients behind twenty layers: the experiment passes, repeats itself, and fails with other activations."""

from dataclasses import replace

import numpy as np
import pytest
from matplotlib.figure import Figure

from unbend import zoo
from unbend.lab import vanishing


@pytest.fixture(scope="module")
def result(quick):
    return quick("vanishing")


def test_the_claim_stands_as_it_is_told_here(result):
    verdict = vanishing.holds(result)
    assert verdict.passed, [check for check in verdict.checks if not check.passed]
    assert verdict.outcome == "holds with a condition"
    assert "16.9" in vanishing.finding(result) or "17." in vanishing.finding(result)


def test_the_factor_per_layer_predicts_the_orders(result):
    known = np.isfinite(result.predicted)
    assert known.sum() == 3
    assert np.abs(result.orders[known] - result.predicted[known, None]).max() < 1


def test_tanh_in_place_of_sigmoid_is_noticed(monkeypatch):
    broken = tuple(replace(kind, activation="tanh") for kind in vanishing.KINDS)
    monkeypatch.setattr(vanishing, "KINDS", broken)
    monkeypatch.setattr(vanishing, "TRAINED_QUICKLY", (1, 3, 8))
    failed = vanishing.holds(vanishing.run(0, "quick")).failed
    assert any(what.startswith("sigmoid, Xavier") for what in failed)


def test_a_remedy_left_out_is_noticed(result, monkeypatch):
    kinds = tuple(replace(kind, initial=zoo.Initial("torch")) for kind in vanishing.KINDS)
    monkeypatch.setattr(vanishing, "KINDS", kinds)
    monkeypatch.setattr(vanishing, "TRAINED_QUICKLY", ())
    failed = vanishing.holds(vanishing.run(0, "quick")).failed
    assert "sigmoid, orthogonal × 4, centred: log10 of the first gradient over the last" in failed
    assert "ReLU, He: log10 of the first gradient over the last" in failed


def test_the_figure_names_its_axes(result):
    figure = Figure()
    vanishing.draw(result, figure)
    assert len(figure.axes) == 3
    assert all(axes.get_xlabel() and axes.get_ylabel() for axes in figure.axes)
    first = figure.axes[0].lines[1].get_ydata()
    assert np.array_equal(first, np.median(result.size[1], axis=0))
