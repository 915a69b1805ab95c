import numpy as np
import pytest
from matplotlib.figure import Figure

from unbend.errors import MissingExtraError
from unbend.lab import topology
from unbend.numerics import topology as persistence


@pytest.fixture(scope="module")
def result(quick):
    return quick("topology")


def test_activations_that_change_places_break_it(monkeypatch):
    monkeypatch.setattr(topology, "N_NETS", 5)
    monkeypatch.setattr(topology, "ACTIVATIONS", ("tanh", "leaky_relu", "relu"))
    assert (
        "mean pieces over the later half of the activations, tanh over ReLU"
        in topology.holds(topology.run(0, "quick")).failed
    )


def test_pieces_and_holes_of_known_shapes():
    rng = np.random.default_rng(0)
    angle = np.linspace(0, 2 * np.pi, 200, endpoint=False)
    circle = np.stack([np.cos(angle), np.sin(angle)], 1)
    assert topology.betti(circle) == (1, 1)
    assert topology.betti(np.concatenate([circle, circle + 5])) == (2, 2)
    assert topology.betti(rng.random((300, 2))) == (1, 0)


def test_what_is_missing_is_said(monkeypatch):
    def absent(name):
        raise ImportError(name)

    monkeypatch.setattr(persistence, "import_module", absent)
    with pytest.raises(MissingExtraError, match=r"unbend\[topology\]"):
        topology.run(0, "quick")


def test_the_figure_shows_every_activation(result):
    figure = Figure()
    topology.draw(result, figure)
    assert all(len(axes.lines) == 3 for axes in figure.axes)
    assert all(axes.get_xlabel() and axes.get_ylabel() for axes in figure.axes)
