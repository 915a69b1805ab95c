import numpy as np
import pytest
from matplotlib.figure import Figure

from unbend.lab import separability_rises


@pytest.fixture(scope="module")
def result(quick):
    return quick("separability_rises")


def test_nets_that_are_not_trained_break_it(monkeypatch):
    few = separability_rises.digits(0).first(200, 200)
    monkeypatch.setattr(separability_rises, "digits", lambda _seed: few)
    monkeypatch.setattr(separability_rises.zoo, "train", lambda *_args, **_options: None)
    assert (
        "correlation of ln tr(S_W S_B⁺) with depth, batch norm"
        in separability_rises.holds(separability_rises.run(0, "quick")).failed
    )


def test_the_ratio_of_traces_knows_class_shares():
    for prior in (0.5, 0.1):
        x, y = separability_rises.two_classes(prior, 0)
        np.testing.assert_allclose(separability_rises.trace_ratio(x, y), 4.5 * prior * (1 - prior), rtol=0.05)


def test_the_figure_shows_both_nets(result):
    figure = Figure()
    separability_rises.draw(result, figure)
    law, *_ = figure.axes
    assert len(law.lines) == 3
    assert all(axes.get_xlabel() and axes.get_ylabel() for axes in figure.axes)
