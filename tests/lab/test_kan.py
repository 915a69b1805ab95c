"""KANs against MLPs: the experiment passes, the curves are the true ones, and swapped targets are noticed."""

import numpy as np
import pytest
from matplotlib.figure import Figure

from unbend.lab import kan


@pytest.fixture(scope="module")
def result(quick):
    return quick("kan")


def test_the_claim_holds_with_a_condition(result):
    verdict = kan.holds(result)
    assert verdict.passed, [check for check in verdict.checks if not check.passed]
    assert verdict.outcome == "holds with a condition"
    assert "on xy the best KAN errs by" in kan.finding(result)


def test_the_curves_are_those_of_the_target(result):
    slope, start = np.polyfit(result.x**2, result.first[1], 1)
    assert np.abs(result.first[1] - slope * result.x**2 - start).max() < 0.1 * np.ptp(result.first[1])
    assert result.likeness == pytest.approx(1.0, abs=0.02)


def test_swapped_targets_are_noticed(monkeypatch):
    swapped = dict(zip(kan.TARGETS, reversed(kan.TARGETS.values()), strict=True))
    monkeypatch.setattr(kan, "TARGETS", swapped)
    monkeypatch.setitem(kan.SIZES, "quick", (1, 120, 300))
    failed = kan.holds(kan.run(0, "quick")).failed
    assert "likeness of the learned curves to sin πx and y²" in failed
    assert len(failed) > 1


def test_a_kan_without_splines_is_noticed(monkeypatch):
    make = kan._kan

    def without(widths, n_intervals, seed):
        net = make(widths, n_intervals, seed)
        for layer in net:
            layer.coefficients.requires_grad_(False).zero_()
        return net

    monkeypatch.setattr(kan, "_kan", without)
    monkeypatch.setitem(kan.SIZES, "quick", (1, 120, 300))
    failed = kan.holds(kan.run(0, "quick")).failed
    assert "exp(sin πx + y²): best KAN over best MLP" in failed


def test_the_figure_draws_errors_and_edges(result):
    figure = Figure()
    kan.draw(result, figure)
    assert len(figure.axes) == 5
    assert all(axes.get_xlabel() for axes in figure.axes)
    learned = figure.axes[2].lines[1].get_ydata()
    assert np.array_equal(learned, result.first[0])
