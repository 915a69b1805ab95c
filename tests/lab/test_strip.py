import numpy as np
import pytest
from matplotlib.figure import Figure

from unbend.lab import strip


@pytest.fixture(scope="module")
def result(quick):
    return quick("strip")


def test_other_weights_break_it(result, monkeypatch):
    other = result.printed * np.array([1, 1, 1, 1, 1.5, 1.5, 1, 1, 1])
    monkeypatch.setattr(strip, "printed_weights", lambda: other)
    assert {"accuracy of the printed weights", "mean |x2 - x1| of the hidden lines"} <= set(
        strip.holds(strip.run(0, "quick")).failed
    )


def test_nets_that_do_not_bend_break_it(monkeypatch):
    monkeypatch.setattr(strip, "ACTIVATION", "identity")
    assert "share of nets at 100 %, 200 samples" in strip.holds(strip.run(0, "quick")).failed


def test_boundary_is_where_the_output_is_zero(result):
    at = strip.across(result.boundary_at)
    np.testing.assert_allclose(strip.logit(result.printed, at), 0, atol=1e-9)


def test_the_figure_and_the_film_show_the_net(result):
    figure = Figure()
    strip.draw(result, figure)
    assert len(figure.axes) == 6
    assert all(axes.get_xlabel() and axes.get_ylabel() for axes in figure.axes)
    film = Figure()
    strip.film(result, film, strip.n_frames(result) - 1)
    assert "100 %" in film.axes[0].get_title(loc="left")
