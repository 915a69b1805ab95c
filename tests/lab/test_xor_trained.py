"""How often XOR is learned, and what would show if it were another task."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure

from unbend import zoo
from unbend.lab import xor_trained as claim


@pytest.fixture(scope="module")
def result(quick):
    return quick("xor_trained")


def test_one_rising_unit_never_solves_it_and_a_turning_one_nearly_always(result):
    assert all(claim.share_of(result, name, 1)[0] == 0 for name in claim.RISING)
    assert all(claim.share_of(result, name, 1)[0] > 0.7 for name in claim.RELIABLE)


def test_labels_that_a_line_separates_are_noticed(monkeypatch):
    corners = zoo.xor()
    monkeypatch.setattr(zoo, "xor", lambda: replace(corners, y_train=torch.tensor([0, 0, 0, 1])))
    failed = claim.holds(claim.run(0, "quick")).failed
    assert "largest share solved by one unit that only rises" in failed


def test_the_wrong_activation_is_noticed(monkeypatch):
    honest = zoo.Net
    monkeypatch.setattr(zoo, "Net", lambda widths, name, seed: honest(widths, "tanh", seed=seed))
    assert not claim.holds(claim.run(0, "quick")).passed


def test_the_film_shows_one_net_that_gets_there_and_one_that_does_not(result):
    right = [(claim.output(result, panel, -1, result.x) > 0.5) == result.y for panel in (0, 1)]
    assert right[0].all()
    assert not right[1].all()
    assert result.steps[0] == 0
    assert np.abs(result.weights[:, 0]).max() <= 1 / np.sqrt(2)


def test_pictures_have_their_labels(result):
    figure, film = Figure(), Figure()
    claim.draw(result, figure)
    claim.film(result, film, 0)
    assert all(axes.get_xlabel() and axes.get_ylabel() for axes in (*figure.axes, *film.axes))
