import pytest
from matplotlib.figure import Figure

from unbend.lab import bottleneck


@pytest.fixture(scope="module")
def result(quick):
    return quick("bottleneck")


def test_two_units_that_bend_break_it(monkeypatch):
    monkeypatch.setattr(bottleneck, "BENDS", ("relu",))
    monkeypatch.setattr(bottleneck, "with_relu", lambda *_: 0.5)
    monkeypatch.setattr(bottleneck, "frames", lambda n_steps: [0, n_steps])
    failed = bottleneck.holds(bottleneck.run(0, "quick")).failed
    assert "training accuracy through two units that do not bend, MLP" in failed


def test_starts_that_do_not_bend_break_it(monkeypatch):
    monkeypatch.setattr(bottleneck, "CORNERED", None)
    monkeypatch.setattr(bottleneck, "BENDS", ("none",))
    monkeypatch.setattr(bottleneck, "N_STARTS", 2)
    monkeypatch.setattr(bottleneck, "frames", lambda n_steps: [0, n_steps])
    assert any("starts with ReLU" in what for what in bottleneck.holds(bottleneck.run(0, "quick")).failed)


def test_the_figure_and_the_film_show_the_plane(result):
    figure = Figure()
    bottleneck.draw(result, figure)
    assert all(axes.get_xlabel() and axes.get_ylabel() for axes in figure.axes)
    film = Figure()
    bottleneck.film(result, film, bottleneck.n_frames(result) - 1)
    assert film.axes[0].get_title(loc="left").startswith("step")
