"""Pieces by depth, and what breaks the count."""

import numpy as np
import pytest
import torch
from matplotlib import rc_context
from matplotlib.figure import Figure

from unbend import zoo
from unbend.lab import regions_depth as lab
from unbend.plot.style import RC


def small(monkeypatch):
    """Untrained, one seed, few units in the plane: enough to see something broken."""
    monkeypatch.setattr(lab, "train", lambda *_: None)
    monkeypatch.setattr(lab, "_PLANE_SHAPES", ((8,) * 3,))
    for sizes in (lab._N_SEEDS, lab._N_PLANE_SEEDS):
        monkeypatch.setitem(sizes, "quick", 1)


@pytest.fixture(scope="module")
def result(quick):
    return quick("regions_depth")


def test_the_seeds_differ(monkeypatch):
    monkeypatch.setattr(lab, "train", lambda *_: None)
    other = lab.run(2, "quick")
    assert lab.holds(other).passed
    np.testing.assert_array_equal(other.before, other.after)


def test_another_activation_breaks_it(monkeypatch):
    made = zoo.mlp
    monkeypatch.setattr(zoo, "mlp", lambda widths, **options: made(widths, **options, activation="hardtanh"))
    small(monkeypatch)
    assert not lab.holds(lab.run(0, "quick")).passed


def test_no_biases_break_it(monkeypatch):
    monkeypatch.setattr(lab, "_START", zoo.Initial("he", bias=0.0))
    small(monkeypatch)
    broken = lab.run(0, "quick")
    assert broken.pieces.max() <= 2
    assert not lab.holds(broken).passed


def test_pieces_of_a_net_known_by_hand():
    net = zoo.mlp((2, 3, 1), seed=0).double()
    with torch.no_grad():
        net[0].weight.copy_(torch.eye(3, 2) + 0.5)
        net[0].bias.copy_(torch.tensor([1.0, -2.0, 0.5]))
    assert lab.pieces_on_line(net, 5) == 4


def test_the_figure(result):
    figure = Figure()
    with rc_context(RC):
        lab.draw(result, figure)
    *mosaics, line = figure.axes
    assert len(mosaics) == 3
    assert len(mosaics[0].collections[0].get_paths()) == len(result.mosaics[0].n_on)
    assert line.get_xlabel() == "hidden layers x units in each"
    assert line.get_ylabel()
    assert "16x16" in lab.finding(result)
