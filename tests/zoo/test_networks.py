"""Networks from widths, their initial weights, and the patterns of widths."""

from bisect import bisect_left

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from unbend import zoo
from unbend.errors import DataError, LayerError, ModelError, ShapeError


def weights_of(model):
    return nn.utils.parameters_to_vector(model.parameters())


def test_mlp_is_plain_and_reproducible():
    state = torch.get_rng_state()
    net = zoo.mlp([3, 5, 4, 2], activation="tanh", seed=7)
    assert [type(m) for m in net] == [nn.Linear, nn.Tanh, nn.Linear, nn.Tanh, nn.Linear]
    assert torch.equal(weights_of(net), weights_of(zoo.mlp([3, 5, 4, 2], seed=7)))
    assert not torch.equal(weights_of(net), weights_of(zoo.mlp([3, 5, 4, 2], seed=8)))
    assert torch.equal(state, torch.get_rng_state())


def test_mlp_without_seed_draws_as_torch_does():
    torch.manual_seed(3)
    net = zoo.mlp([4, 6, 2])
    torch.manual_seed(3)
    plain = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 2))
    assert torch.equal(weights_of(net), weights_of(plain))


def test_norm_bias_and_own_activation():
    net = zoo.mlp([3, 5, 2], activation=torch.cos, bias=False, norm="batch")
    assert [type(m).__name__ for m in net] == ["Linear", "BatchNorm1d", "Elementwise", "Linear"]
    assert net[0].bias is None
    x = torch.randn(6, 3)
    expected = net[3](torch.cos(net[1](net[0](x))))
    torch.testing.assert_close(net(x), expected)


def test_residual_adds_the_input_where_widths_agree():
    net = zoo.residual_mlp([3, 4, 4, 2], seed=0)
    first, block, last = net[0], net[2], net[3]
    x = torch.randn(5, 3)
    h = first(x).relu()
    torch.testing.assert_close(net(x), last(h + block.block[0](h).relu()))
    with torch.no_grad():
        for value in block.parameters():
            value.zero_()
    torch.testing.assert_close(net(x), last(h))


@pytest.mark.parametrize("widths", [[3], [3, 0, 2], []])
def test_impossible_widths(widths):
    with pytest.raises(ShapeError):
        zoo.mlp(widths)


def test_unknown_norm(unchecked):
    with pytest.raises(ModelError, match="batch, layer"):
        zoo.mlp([2, 2, 2], norm="group")


def test_initialise_torch_gives_the_weights_of_mlp():
    net = zoo.initialise(zoo.mlp([3, 7, 7, 2]), "torch", seed=11)
    assert torch.equal(weights_of(net), weights_of(zoo.mlp([3, 7, 7, 2], seed=11)))


@pytest.mark.parametrize(
    ("rule", "variance"),
    [("he", 2 / 300), ("lecun", 1 / 300), ("xavier", 2 / 500), ("normal", 1.0), ("torch", 1 / 900)],
)
def test_rules_have_their_variance(rule, variance):
    layer = zoo.initialise(nn.Linear(300, 200), rule, seed=0)
    # 60,000 draws: the relative error of a variance is about 0.6 %, of its fourth-moment bound 1 %.
    assert float(layer.weight.detach().var()) == pytest.approx(variance, rel=0.03)
    if rule != "torch":
        assert torch.equal(layer.bias, torch.zeros(200))


def test_orthogonal_gain_and_centring():
    layer = zoo.initialise(nn.Linear(20, 20), zoo.Initial("orthogonal", gain=4.0, bias="centred"), seed=1)
    torch.testing.assert_close(layer.weight @ layer.weight.T, 16 * torch.eye(20), atol=1e-4, rtol=0)
    torch.testing.assert_close(layer(torch.full((1, 20), 0.5)), torch.zeros(1, 20), atol=1e-5, rtol=0)
    constant = zoo.initialise(nn.Linear(3, 3), zoo.Initial("he", bias=-2.0), seed=1)
    assert torch.equal(constant.bias, torch.full((3,), -2.0))
    small = zoo.initialise(nn.Linear(300, 300), zoo.Initial("normal", gain=0.01), seed=1)
    assert float(small.weight.detach().std()) == pytest.approx(0.01, rel=0.02)


def test_unknown_rule(unchecked):
    with pytest.raises(ModelError, match="orthogonal"):
        zoo.initialise(nn.Linear(2, 2), "kaiming", seed=0)


def test_patterns(unchecked):
    assert zoo.hidden_widths("constant", 128, 3) == [128, 128, 128]
    assert zoo.hidden_widths("funnel", 128, 4) == [128, 64, 32, 32]
    assert zoo.hidden_widths("reversed funnel", 128, 4) == [32, 32, 64, 128]
    assert zoo.hidden_widths("symmetric bottleneck", 256, 4) == [256, 128, 128, 256]
    assert zoo.hidden_widths("funnel", 8, 3) == [8, 8, 8]
    assert zoo.hidden_widths("bottleneck", 256, 5) == [256, 128, 64, 64, 128]
    assert zoo.hidden_widths("expanding", 256, 6) == [64, 128, 256, 512, 512, 512]
    with pytest.raises(DataError, match="pattern"):
        zoo.hidden_widths("hourglass", 8, 3)


@given(
    pattern=st.sampled_from(["constant", "funnel", "bottleneck", "expanding", "symmetric bottleneck"]),
    size=st.integers(500, 200_000),
    depth=st.integers(1, 6),
)
def test_widths_of_size_are_the_closest(pattern, size, depth):
    widths = zoo.widths_of_size(pattern, size, depth, ends=(10, 3))
    found = zoo.parameter_count(widths)
    bases = range(1, 5 * max(widths))
    base = bases[bisect_left(bases, sum(widths[1:-1]), key=lambda one: sum(zoo.hidden_widths(pattern, one, depth)))]
    for other in (base - 1, base + 1):
        if other >= 1:
            near = [10, *zoo.hidden_widths(pattern, other, depth), 3]
            assert abs(found - size) <= abs(zoo.parameter_count(near) - size)


@pytest.mark.parametrize(
    ("pattern", "widths"),
    [
        ("constant", [256, 256, 256, 256]),
        ("funnel", [256, 128, 64, 32]),
        ("bottleneck", [256, 128, 64, 128]),
        ("expanding", [64, 128, 256, 512]),
    ],
)
def test_the_builder_has_the_widths_that_articles_print(pattern, widths):
    net = zoo.hidden_layers(784, 10, 4, 256, pattern, "tanh", seed=0)
    assert [net[0].in_features, *(layer.out_features for layer in net[::2])] == [784, *widths, 10]
    assert all(isinstance(bend, nn.Tanh) for bend in net[1::2])


def test_parameter_count_counts():
    net = zoo.mlp([5, 8, 3])
    assert zoo.parameter_count([5, 8, 3]) == sum(p.numel() for p in net.parameters())
    assert sum(p.numel() for p in zoo.lenet_300_100().parameters()) == 266_610


def test_vision_shapes():
    images = torch.randn(2, 1, 28, 28)
    assert zoo.lenet_300_100(seed=0)(images).shape == (2, 10)
    assert zoo.small_cnn(seed=0)(images).shape == (2, 10)
    assert zoo.small_cnn(side=32, n_channels=3, n_classes=4)(torch.randn(2, 3, 32, 32)).shape == (2, 4)
    assert sum(p.numel() for p in zoo.small_cnn().parameters()) == 105_866
    with pytest.raises(ShapeError, match="multiple of 4"):
        zoo.small_cnn(side=30)


def test_narrowed_keeps_all_but_the_head():
    model = zoo.mlp([6, 9, 4], seed=0)
    copy, path = zoo.narrow(model, 2, seed=1)
    assert path == "2.narrow"
    assert torch.equal(copy[0].weight, model[0].weight)
    assert copy[0].weight is not model[0].weight
    assert isinstance(model[2], nn.Linear)
    plane = copy.get_submodule(path)
    assert (plane.in_features, plane.out_features) == (9, 2)
    assert copy(torch.randn(3, 6)).shape == (3, 4)


def test_narrowed_inside_any_module():
    class Own(nn.Module):
        def __init__(self):
            super().__init__()
            self.parts = nn.ModuleDict({"body": zoo.mlp([3, 5]), "head": nn.Linear(5, 2, bias=False)})

        def forward(self, x):
            return self.parts["head"](self.parts["body"](x).relu())

    copy, path = zoo.narrow(Own(), 2, activation="tanh", seed=0)
    assert path == "parts.head.bend"
    assert copy.get_submodule("parts.head.output").bias is None
    seen = []
    copy.get_submodule(path).register_forward_hook(lambda *args: seen.append(args[2]))
    copy(torch.randn(4, 3))
    assert seen[0].shape == (4, 2)
    assert float(seen[0].detach().abs().max()) <= 1
    with pytest.raises(LayerError, match=r"parts\.head"):
        zoo.narrow(Own(), layer="parts")
    with pytest.raises(ModelError):
        zoo.narrow(nn.Conv2d(1, 1, 1))
