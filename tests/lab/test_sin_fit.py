"""The sine by ten units, and what breaks the comparison."""

import numpy as np
import pytest
import torch
from matplotlib import rc_context
from matplotlib.figure import Figure

from unbend import zoo
from unbend.lab import sin_fit as lab
from unbend.plot.style import RC


@pytest.fixture(scope="module")
def result(quick):
    return quick("sin_fit")


def test_tanh_under_the_name_of_relu_breaks_it(monkeypatch):
    made = zoo.Net
    monkeypatch.setattr(zoo, "Net", lambda widths, name, seed: made(widths, "tanh" if name == "relu" else name, seed))
    assert not lab.holds(lab.run(0, "quick")).passed


def test_too_few_units_break_it(monkeypatch):
    monkeypatch.setattr(lab, "_UNITS", 3)
    assert not lab.holds(lab.run(0, "quick")).passed


def test_the_placed_network_is_what_it_says(result):
    _, net = lab.placed_relu(result.x, result.y)
    assert isinstance(net[1], torch.nn.ReLU)
    assert net[0].out_features == 10
    out = zoo.outputs(net, torch.from_numpy(result.x)[:, None])[:, 0].numpy()
    assert np.mean((out - result.y) ** 2) == result.placed_loss
    slopes = np.diff(out) / np.diff(result.x)
    # Between neighbouring points without a kink the slope is constant: at most two changes for each kink.
    assert (np.abs(np.diff(slopes)) > 1e-9).sum() <= 20


def test_the_figure(result):
    figure = Figure()
    with rc_context(RC):
        lab.draw(result, figure)
    left, right = figure.axes
    assert left.get_xlabel() == "input x (radians)"
    assert right.get_xlabel().startswith("mean squared error")
    assert right.get_ylabel() == "activation"
    frame = Figure()
    lab.film(result, frame, lab.n_frames(result) - 1)
    assert "1,500 steps" in frame.axes[0].get_title("left")
    assert "tanh" in lab.finding(result)
