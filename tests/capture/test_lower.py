"""Lowering: the arrays give the module's values for every kind of layer; what is not covered is refused by name."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from unbend.capture.lower import PiecewiseCurve, lower
from unbend.errors import LayerError, ModelError, UnsupportedError


class Residual(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b, self.c = nn.Linear(4, 6), nn.Linear(6, 6), nn.Linear(12, 3)
        self.norm = nn.BatchNorm1d(6)

    def forward(self, x):
        h = functional.relu(self.a(x))
        g = self.norm(self.b(h))
        g += h
        g = functional.leaky_relu(g, 0.1, inplace=True)
        return 2 * self.c(torch.cat([g, h], 1)).abs() - 1 / 2


class MaxOut(nn.Module):
    def __init__(self):
        super().__init__()
        self.l = nn.Linear(4, 12)

    def forward(self, x):
        return self.l(x).view(-1, 4, 3).max(dim=2).values


class Hat(nn.Module):
    def forward(self, x):
        return torch.clamp(1 - x.abs(), min=0)


class Weighted(nn.Module):
    def __init__(self):
        super().__init__()
        self.w = nn.Parameter(torch.randn(4, 5))

    def forward(self, x):
        y = torch.minimum(x @ self.w, torch.full((5,), 0.3))
        return torch.stack([y, y.flip(1)], 1).mean(2) / 3


def _each(*activations):
    return [nn.Sequential(nn.Linear(4, 7), activation, nn.Linear(7, 2)) for activation in activations]


FLAT = [
    Residual(),
    MaxOut(),
    Weighted(),
    *_each(
        nn.ReLU(inplace=True), nn.LeakyReLU(0.2), nn.PReLU(), nn.PReLU(7), nn.ReLU6(), nn.Hardtanh(-2, 0.5),
        nn.Hardsigmoid(), nn.Softshrink(0.3), nn.RReLU(), nn.Threshold(0.2, 0.2), nn.Dropout(0.5), nn.Identity(), Hat(),
    ),
]  # fmt: skip
IMAGES = [
    nn.Sequential(
        nn.Conv2d(2, 4, 3, padding=1), nn.BatchNorm2d(4), nn.PReLU(4), nn.MaxPool2d(3, 2, ceil_mode=True),
        nn.Conv2d(4, 4, 3, groups=2, padding="same", padding_mode="reflect"), nn.ReLU6(), nn.AvgPool2d(2),
        nn.Flatten(), nn.LazyLinear(5), nn.Hardtanh(), nn.Linear(5, 3),
    ),
    nn.Sequential(nn.Conv2d(2, 3, (3, 2), stride=(2, 1), dilation=(1, 2), bias=False), nn.ReLU(),
                  nn.MaxPool2d(2, padding=1), nn.AdaptiveAvgPool2d(1), nn.Flatten()),
    nn.Sequential(nn.Upsample(scale_factor=2), nn.ConstantPad2d(1, 0.5), nn.Conv2d(2, 2, 4, stride=3),
                  nn.ReLU(), nn.AdaptiveMaxPool2d(1)),
]  # fmt: skip
SEQUENCES = [
    nn.Sequential(nn.Conv1d(2, 3, 3, padding=1, dilation=2), nn.Hardsigmoid(), nn.MaxPool1d(2, padding=1),
                  nn.Softshrink(0.1), nn.Flatten(), nn.LazyLinear(2)),
    nn.Sequential(nn.AvgPool1d(2), nn.Conv1d(2, 3, 3, padding="same"), nn.ReLU(), nn.AdaptiveAvgPool1d(2)),
]  # fmt: skip
CASES = [(m, (4,)) for m in FLAT] + [(m, (2, 9, 9)) for m in IMAGES] + [(m, (2, 9)) for m in SEQUENCES]


@pytest.mark.parametrize(("model", "shape"), CASES)
def test_values_are_the_modules(model, shape):
    torch.manual_seed(0)
    model = model.double()
    x = 2 * torch.randn(60, *shape, dtype=torch.float64)
    model.eval()
    model(x)
    for module in model.modules():
        if isinstance(module, nn.PReLU):
            nn.init.uniform_(module.weight, -0.5, 1.8)
        if isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d)):
            nn.init.normal_(module.running_mean)
            nn.init.uniform_(module.running_var, 0.5, 2.0)
            nn.init.normal_(module.weight)
    model.train()
    net = lower(model, shape)
    assert all(module.training for module in model.modules())
    model.eval()
    want = model(x).reshape(len(x), -1).detach().numpy()
    got = net(x.reshape(len(x), -1).numpy())
    assert np.abs(got - want).max() < 1e-12
    bits = net.bits(x.reshape(len(x), -1).numpy())
    weight, bias = net.affine(bits)
    told = np.einsum("nkd,nd->nk", weight, x.reshape(len(x), -1).numpy()) + bias
    assert np.abs(told - want).max() < 1e-11
    assert net.states(bits).shape == (60, net.n_units)


def test_a_curve_of_your_own_is_one_layer():
    model = nn.Sequential(nn.Linear(3, 4), Hat(), nn.Linear(4, 2)).double()
    net = lower(model, (3,), custom={Hat: PiecewiseCurve((-1.0, 0.0, 1.0), (0.0, 1.0, -1.0, 0.0))})
    assert [(group.name, group.n_ways) for group in net.groups] == [("1", 3)]
    x = torch.randn(50, 3, dtype=torch.float64)
    assert np.abs(net(x.numpy()) - model(x).detach().numpy()).max() < 1e-12
    assert torch.equal(model[1](x), torch.clamp(1 - x.abs(), min=0))


def test_the_winner_of_a_maximum_is_its_state():
    model = MaxOut().double()
    net = lower(model, (4,))
    x = torch.randn(80, 4, dtype=torch.float64)
    states = net.states(net.bits(x.numpy()))
    assert (states == model.l(x).view(-1, 4, 3).argmax(2).numpy()).all()


def test_stopping_after_a_layer():
    model = nn.Sequential(nn.Linear(3, 5), nn.ReLU(), nn.Linear(5, 4), nn.Softmax(-1)).double()
    net = lower(model, (3,), layer="2")
    x = torch.randn(20, 3, dtype=torch.float64)
    assert np.abs(net(x.numpy()) - model[:3](x).detach().numpy()).max() < 1e-13
    with pytest.raises(LayerError, match="no layer named '9'"):
        lower(model, (3,), layer="9")
    assert not any(module._forward_hooks for module in model.modules())


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (nn.GELU(), "gelu is a smooth curve"),
        (nn.SiLU(), "silu is a smooth curve"),
        (nn.LayerNorm(3), "layer_norm divides by a statistic"),
        (nn.Hardswish(), "piecewise quadratic"),
        (nn.Threshold(0.1, 2.0), "not continuous"),
        (nn.Hardshrink(), "not continuous"),
        (nn.Softmax(-1), "sum of exponentials"),
        (nn.GLU(), "multiplies two functions"),
        (nn.BatchNorm1d(3, track_running_stats=False), "running statistics"),
    ],
)
def test_what_is_not_piecewise_linear_is_refused_with_the_layers_name(bad, reason):
    model = nn.Sequential(nn.Linear(3, 4 if isinstance(bad, nn.GLU) else 3), nn.Sequential(bad))
    with pytest.raises(UnsupportedError, match=r"layer '1\.0'.*" + reason):
        lower(model, (3,))


def test_products_and_branches_are_refused():
    class Product(nn.Module):
        def forward(self, x):
            return x * x

    class Branch(nn.Module):
        def forward(self, x):
            return x if x.sum() > 0 else -x

    with pytest.raises(UnsupportedError, match="multiplies two functions"):
        lower(Product(), (3,))
    with pytest.raises(UnsupportedError, match="not continuous"):
        lower(Branch(), (3,))


def test_what_is_no_model_is_said():
    with pytest.raises(ModelError, match="does not run"):
        lower(nn.Linear(2, 2), (3,))
