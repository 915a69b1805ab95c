import pytest
from matplotlib.figure import Figure

from unbend import zoo
from unbend.lab import must_be_separable


@pytest.fixture(scope="module")
def result(quick):
    return quick("must_be_separable")


def test_classes_without_overlap_break_it(monkeypatch):
    moons = zoo.moons
    monkeypatch.setattr(must_be_separable.zoo, "moons", lambda n, *, noise, **rest: moons(n, noise=0.0, **rest))
    monkeypatch.setattr(must_be_separable, "WIDTHS", (16, 24, 32))
    assert (
        "trained nets whose last hidden layer provably overlaps"
        in must_be_separable.holds(must_be_separable.run(0, "quick")).failed
    )


def test_a_random_layer_that_stays_narrow_breaks_it(monkeypatch):
    layer = must_be_separable.random_layer
    monkeypatch.setattr(must_be_separable, "random_layer", lambda d, rng: layer(min(d, 5), rng))
    assert "random labels separable at width 59" in must_be_separable.holds(must_be_separable.run(0, "quick")).failed


def test_the_figure_shows_every_net(result):
    figure = Figure()
    must_be_separable.draw(result, figure)
    left, right = figure.axes
    assert sum(len(line.get_xdata()) for line in left.lines) == len(result.width)
    assert all(axes.get_xlabel() and axes.get_ylabel() for axes in (left, right))
