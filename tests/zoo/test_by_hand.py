"""Networks whose weights were written down."""

import pytest
import torch

from unbend import zoo
from unbend.errors import DataError


def test_xor_relu_is_exact():
    x, y = zoo.xor().train
    assert zoo.xor_relu()(x)[:, 0].tolist() == [0.0, 1.0, 1.0, 0.0]
    assert y.tolist() == [0, 1, 1, 0]


def test_xor_sigmoid_gives_the_printed_numbers():
    out = zoo.xor_sigmoid()(zoo.xor().x_train)[:, 0]
    torch.testing.assert_close(out, torch.tensor([0.00715, 0.99236, 0.99236, 0.00715]), atol=1e-5, rtol=0)


def test_strip_net_has_its_lines_and_no_errors():
    net = zoo.strip_net()
    data = zoo.strip(4000, seed=1)
    assert zoo.accuracy(net, *data.train) == 1.0
    assert zoo.accuracy(net, *data.test) == 1.0
    weight, bias = net[0].weight, net[0].bias
    # A unit's line crosses the axis x1 = -t/2, x2 = t/2 where (w2 - w1) t / 2 + b = 0.
    at = (-2 * bias / (weight[:, 1] - weight[:, 0])).tolist()
    assert sorted(at) == pytest.approx([-0.4715, 0.4777], abs=1e-4)
    t = torch.linspace(0.3, 0.8, 5001)
    inside = net(torch.stack([-t / 2, t / 2], 1))[:, 0] > 0
    assert float(t[inside].max()) == pytest.approx(0.54, abs=0.01)


@pytest.mark.parametrize("layers", [12, 6, 4, 3, 2, 1])
def test_sawtooth_is_exact_at_every_depth(layers):
    net = zoo.sawtooth(12, layers)
    # Peaks and valleys lie at the multiples of 2^-12.
    at = torch.arange(4097, dtype=torch.float64)[:, None] / 4096
    expected = torch.arange(4097, dtype=torch.float64) % 2
    assert torch.equal(net(at)[:, 0], expected)
    between = (at[1:] + at[:-1]) / 2
    assert torch.equal(net(between)[:, 0], torch.full((4096,), 0.5, dtype=torch.float64))


def test_sawtooth_at_depth_30():
    net = zoo.sawtooth(30)
    k = torch.randint(2**30, (2000,), generator=torch.Generator().manual_seed(0)).double()
    assert torch.equal(net(k[:, None] / 2**30)[:, 0], k % 2)


def test_sawtooth_in_float32():
    def errors(doublings):
        k = torch.randint(2**doublings, (4000,), generator=torch.Generator().manual_seed(0))
        x = (k.double() / 2**doublings).float()
        return int((zoo.sawtooth(doublings, dtype=torch.float32)(x[:, None])[:, 0] != k % 2).sum())

    assert errors(24) == 0
    assert errors(26) > 0


def test_sawtooth_refuses_uneven_layers():
    with pytest.raises(DataError, match="divisor"):
        zoo.sawtooth(12, 5)
