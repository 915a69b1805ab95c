"""Dead ReLUs by width, rate and bias: the experiment passes, repeats itself, and other activations are noticed."""

import numpy as np
import pytest
from matplotlib.figure import Figure
from torch import nn

from unbend import zoo
from unbend.lab import dead_units
from unbend.lab.claim import percent


@pytest.fixture(scope="module")
def result(quick):
    return quick("dead_units")


def test_the_claim_holds_as_a_count(result):
    verdict = dead_units.holds(result)
    assert verdict.passed, [check for check in verdict.checks if not check.passed]
    assert verdict.outcome == "holds with a condition"
    assert percent(np.median(result.dead[-1, :, -1])) in dead_units.finding(result)


def test_dead_units_are_counted_over_all_samples():
    data = zoo.data("digits").first(50, 10)
    net = zoo.initialise(zoo.mlp([64, 4, 4, 10]), zoo.Initial("torch", bias=-100.0), seed=0)
    assert dead_units._dead_and_zeros(net, data) == (1.0, 1.0)
    linear = net[0]
    assert isinstance(linear, nn.Linear)
    linear.bias.data[0] = 100.0
    assert dead_units._dead_and_zeros(net, data) == (7 / 8, 7 / 8)


def test_a_rate_that_is_never_large_is_noticed(monkeypatch):
    monkeypatch.setattr(dead_units, "N_SEEDS", 1)
    monkeypatch.setattr(dead_units, "RATES", (1e-4, 3e-4, 1e-3))
    failed = dead_units.holds(dead_units.run(0, "quick")).failed
    assert any("widest minus narrowest" in what for what in failed)
    assert any("largest rate minus smallest" in what for what in failed)


def test_a_remedy_left_out_is_noticed(monkeypatch):
    monkeypatch.setattr(dead_units, "N_SEEDS", 1)
    net = dead_units._net
    monkeypatch.setattr(dead_units, "_net", lambda width, seed, _remedy="", bias=None: net(width, seed, "", bias))
    failed = dead_units.holds(dead_units.run(1, "quick")).failed
    assert "batch norm: largest dead share" in failed
    assert any(what.startswith("He's weights") for what in failed)


def test_the_figure_names_its_axes(result):
    figure = Figure()
    dead_units.draw(result, figure)
    assert all(axes.get_xlabel() and axes.get_ylabel() for axes in figure.axes)
    assert np.array_equal(figure.axes[0].lines[0].get_ydata(), np.median(result.dead[0], axis=0))
