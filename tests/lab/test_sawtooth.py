"""Telgarsky's sawtooth: exact, and what breaks it."""

from itertools import product

import numpy as np
import pytest
import torch
from matplotlib import rc_context
from matplotlib.figure import Figure

from unbend import zoo
from unbend.lab import sawtooth as lab
from unbend.plot.style import RC


@pytest.fixture(scope="module")
def result(quick):
    return quick("sawtooth")


def test_another_activation_breaks_it(monkeypatch):
    def bent(*arguments, **options):
        net = zoo_sawtooth(*arguments, **options)
        return torch.nn.Sequential(*(torch.nn.LeakyReLU() if isinstance(m, torch.nn.ReLU) else m for m in net))

    zoo_sawtooth = zoo.sawtooth
    monkeypatch.setattr(zoo, "sawtooth", bent)
    broken = lab.run(0, "quick")
    assert not lab.holds(broken).passed
    assert broken.gap.min() > 0.1


def test_a_weight_moved_by_a_billionth_breaks_it(monkeypatch):
    def moved(*arguments, **options):
        net = zoo_sawtooth(*arguments, **options)
        with torch.no_grad():
            net[0].weight += 1e-9
        return net

    zoo_sawtooth = zoo.sawtooth
    monkeypatch.setattr(zoo, "sawtooth", moved)
    assert not lab.holds(lab.run(0, "quick")).passed


def test_units_by_depth(result):
    units = dict(zip(result.layers.tolist(), result.units.tolist(), strict=True))
    assert [units[n] for n in (12, 6, 4, 3, 2, 1)] == [24, 24, 32, 48, 128, 4096]
    assert (result.fewest <= result.units).all()


@pytest.mark.parametrize(("pieces", "n_layers"), [(16, 2), (30, 3), (7, 1)])
def test_fewest_units_by_brute_force(pieces, n_layers):
    enough = [w for w in product(range(1, pieces), repeat=n_layers) if np.prod(np.add(w, 1)) >= pieces]
    assert lab.fewest_units(pieces, n_layers) == min(map(sum, enough))


def test_the_figures(result):
    figure = Figure()
    with rc_context(RC):
        lab.draw(result, figure)
    *teeth, units = figure.axes
    assert len(teeth[-1].lines[0].get_xdata()) == 33
    assert units.get_xlabel() == "hidden layers"
    assert units.get_ylabel() == "hidden units"
    frame = Figure()
    lab.film(result, frame, lab.n_frames(result) - 1)
    assert len(frame.axes[0].lines[0].get_xdata()) == 2 ** lab.n_frames(result) + 1
    assert "53" in lab.finding(result)
