"""Layers without a bend are one layer, and the experiment notices a bend."""

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure

from unbend import zoo
from unbend.lab import affine_collapse as claim


@pytest.fixture(scope="module")
def result(quick):
    return quick("affine_collapse")


def test_folding_two_layers_is_the_product_of_their_matrices():
    net = zoo.mlp([3, 4, 2], activation="identity", seed=3).double()
    weight, bias = claim.fold_affine(net)
    torch.testing.assert_close(weight, net[2].weight @ net[0].weight, rtol=0, atol=1e-15)
    torch.testing.assert_close(bias, net[2].weight @ net[0].bias + net[2].bias, rtol=0, atol=1e-15)


def test_a_bend_between_the_layers_is_noticed(monkeypatch):
    honest = claim.stack
    monkeypatch.setattr(claim, "stack", lambda widths, activation, seed: honest(widths, "tanh", seed))
    failed = claim.holds(claim.run(0, "quick")).failed
    assert failed == ("largest |stack - one layer| over 2 to 50 layers, float64",)


def test_the_boundary_drawn_is_the_nets(result):
    points = np.random.default_rng(0).uniform(-1, 2, (50, 2))
    assert ((claim.bent_at(result, result.x) > 0.5) == result.y).mean() == pytest.approx(result.bent_accuracy)
    assert claim.bent_at(result, points).shape == (50,)


def test_the_film_ends_with_lines_that_are_straight_on_one_side_only(result):
    def bow(lines):
        ends = lines[:, [0, -1]]
        middle = lines[:, lines.shape[1] // 2]
        return np.abs(middle - ends.mean(axis=1)).max() / np.abs(ends).max()

    assert bow(result.affine.lines[-1]) < 1e-6
    assert bow(result.bent.lines[-1]) > 1e-2
    figure = Figure()
    claim.film(result, figure, claim.n_frames(result) - 1)
    assert [axes.get_xlabel() for axes in figure.axes] == ["unit 1", "unit 1"]
