"""Activations: what is said about each is measured."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from unbend import zoo
from unbend.errors import DataError, ModelError

ELEMENTWISE = [a for a in zoo.ACTIVATIONS.values() if a.is_elementwise]
GRID = torch.cat([torch.linspace(-12, 12, 24001), torch.tensor([-1e6, -1e3, 1e3, 1e6])]).double()


@pytest.mark.parametrize("known", ELEMENTWISE, ids=lambda a: a.name)
def test_range_holds_and_is_tight(known):
    value = known(GRID.sort().values)
    assert float(value.min()) >= known.low - 1e-12
    assert float(value.max()) <= known.high + 1e-12
    for bound, seen in ((known.low, value.min()), (known.high, value.max())):
        if math.isinf(bound):
            assert abs(float(seen)) > 10
        else:
            assert float(seen) == pytest.approx(bound, abs=2e-6)


@pytest.mark.parametrize("known", ELEMENTWISE, ids=lambda a: a.name)
def test_piecewise_linear_means_that_the_slope_takes_few_values(known):
    z = torch.linspace(-7.03, 7.01, 5000, dtype=torch.float64)
    slopes = np.unique(zoo.curve(known, z).derivative.round(9))
    assert known.is_piecewise_linear == (len(slopes) <= 4)


@pytest.mark.parametrize("known", ELEMENTWISE, ids=lambda a: a.name)
def test_derivative_is_the_slope_of_the_value(known):
    z = torch.linspace(-4.03, 4.01, 801, dtype=torch.float64)
    step = 1e-6
    slope = (known(z + step) - known(z - step)).numpy() / (2 * step)
    smooth = np.abs(zoo.curve(known, z - step).derivative - zoo.curve(known, z + step).derivative) < 1e-4
    assert smooth.mean() > 0.98
    np.testing.assert_allclose(zoo.curve(known, z).derivative[smooth], slope[smooth], atol=1e-4)


@pytest.mark.parametrize("known", ELEMENTWISE, ids=lambda a: a.name)
def test_polynomial_means_that_high_differences_vanish(known):
    z = torch.linspace(-6, 6, 41, dtype=torch.float64)
    assert known.is_polynomial == (float(known(z).diff(n=5).abs().max()) < 1e-9)


def test_every_elementwise_activation_of_torch_is_there():
    here = {type(a.module()) for a in zoo.ACTIVATIONS.values()}
    # Softmax2d is Softmax over channels, MultiheadAttention is a layer.
    other = {nn.Softmax2d, nn.MultiheadAttention}
    there = {getattr(nn, name) for name in torch.nn.modules.activation.__all__}
    assert there - other <= here


def test_values_of_the_books():
    one = torch.tensor([10.0], dtype=torch.float64)
    assert float(zoo.activation("sigmoid")(one)) == pytest.approx(0.99995460, abs=5e-9)
    z = torch.linspace(-5, 5, 101, dtype=torch.float64)
    torch.testing.assert_close(zoo.activation("swish")(z), zoo.activation("silu")(z))
    assert zoo.curve("relu", torch.zeros(1).double()).derivative == 0


def test_a_function_of_your_own_is_measured():
    capped = zoo.activation(lambda z: z.clamp(-2, 3))
    assert (capped.low, capped.high, capped.is_piecewise_linear) == (-2, 3, True)
    curved = zoo.activation(torch.atan)
    assert curved.name == "atan"
    assert not curved.is_piecewise_linear
    assert curved.high == pytest.approx(math.pi / 2, abs=1e-3)
    grows = zoo.activation(lambda z: z * z.abs())
    assert (grows.low, grows.high) == (-math.inf, math.inf)


def test_refusals():
    with pytest.raises(ModelError, match="Did you mean 'relu'"):
        zoo.activation("rellu")
    with pytest.raises(DataError, match="elementwise"):
        zoo.activation(torch.sum)
    with pytest.raises(DataError, match="not finite"):
        zoo.activation(torch.log)
    with pytest.raises(DataError, match="softmax mixes"):
        zoo.curve("softmax", torch.zeros(3).double())
