"""Kolmogorov-Arnold networks."""

import numpy as np
import pytest
import torch
from scipy.interpolate import BSpline

from unbend import zoo
from unbend.errors import DataError, ShapeError
from unbend.zoo.splines import b_splines


@pytest.mark.parametrize("degree", [0, 1, 2, 3])
def test_b_splines_are_those_of_scipy_and_sum_to_one(degree):
    layer = zoo.kan([1, 1], grid=zoo.Grid(-2.0, 3.0, 7, degree), seed=0)[0]
    knots = layer.knots.double()
    x = torch.linspace(-1.99, 2.99, 101, dtype=torch.float64)
    found = b_splines(x, knots, degree).numpy()
    expected = BSpline.design_matrix(x.numpy(), knots.numpy(), degree).toarray()
    np.testing.assert_allclose(found, expected, atol=1e-6)
    np.testing.assert_allclose(found.sum(1), 1, atol=1e-6)


def test_a_layer_is_the_sum_of_its_edges():
    layer = zoo.kan([3, 2], seed=1)[0]
    x = torch.rand(20, 3, dtype=torch.float64) * 3 - 1.5
    total = sum(zoo.edges(layer, x[:, i].numpy()).value[:, i] for i in range(3)).T
    np.testing.assert_allclose(layer.double()(x).detach().numpy(), total, atol=1e-6)


def test_it_learns_what_it_is_made_for():
    data = zoo.formula(lambda x: torch.exp(torch.sin(torch.pi * x[:, 0]) + x[:, 1] ** 2), n=400, n_held_out=400)
    recipe = zoo.Recipe(epochs=300, rate=0.02)
    net, plain = zoo.kan([2, 3, 1], grid=zoo.Grid(-1.5, 1.5, 6), seed=0), zoo.mlp([2, 9, 9, 1], seed=0)
    zoo.train(net, *data.train, recipe)
    zoo.train(plain, *data.train, recipe)
    errors = [float((zoo.outputs(m, data.x_test) - data.y_test).square().mean()) for m in (net, plain)]
    assert errors[0] < 0.3 * errors[1]


def test_refusals():
    with pytest.raises(ShapeError):
        zoo.kan([2])
    with pytest.raises(DataError, match="low < high"):
        zoo.kan([2, 1], grid=zoo.Grid(1.0, 1.0))
