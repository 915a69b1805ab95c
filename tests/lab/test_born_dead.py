"""Nets that are constant at birth: the bounds hold, dead nets stay dead, and another activation is noticed."""

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure

from unbend import zoo
from unbend.lab import born_dead


@pytest.fixture(scope="module")
def result(quick):
    return quick("born_dead")


def test_the_claim_holds(result):
    verdict = born_dead.holds(result)
    assert verdict.passed, [check for check in verdict.checks if not check.passed]
    assert verdict.outcome == "holds"
    assert "4,000 ReLU nets" in born_dead.finding(result)


def test_one_hidden_layer_dies_with_probability_two_to_minus_n_on_each_half_line(result):
    # One input, one hidden layer: every unit lives on one half-line, so no net is constant yet.
    assert np.array_equal(result.dead[:, :2], np.zeros((len(result.widths), 2)))
    assert (np.diff(result.dead, axis=1) >= 0).all()


def test_a_net_of_the_zoo_that_is_dead_at_two_points_is_dead_everywhere():
    x = torch.linspace(-50, 50, 301)[:, None]
    for seed in range(40):
        net = zoo.initialise(zoo.mlp([1, *[2] * 9, 1]), "he", seed=seed)
        with torch.no_grad():
            ends, everywhere = net(torch.tensor([[-1.0], [1.0]])), net(x)
        assert bool((ends == ends[0]).all()) == bool((everywhere == everywhere[0]).all())


@pytest.mark.parametrize("name", ["leaky_relu", "tanh"])
def test_an_activation_that_is_nowhere_flat_is_noticed(name, monkeypatch):
    monkeypatch.setattr(born_dead, "BEND", zoo.activation(name))
    verdict = born_dead.holds(born_dead.run(0, "quick"))
    failed = verdict.failed
    assert "10 layers of width 2: constant share" in failed


def test_the_figure_shows_shares_and_outputs(result):
    figure = Figure()
    born_dead.draw(result, figure)
    left, right = figure.axes
    assert all(axes.get_xlabel() and axes.get_ylabel() for axes in figure.axes)
    assert np.array_equal(left.lines[0].get_ydata(), result.dead[0])
    assert np.array_equal(right.lines[0].get_ydata(), np.abs(result.x))
