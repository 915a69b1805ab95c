"""What a module is, by class, by name, or by trying it on a grid."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from unbend.capture.kinds import FUNCTIONS, channels, elementwise, kind_of


class Squared(nn.Module):
    def forward(self, x):
        return F.relu(x) ** 2


class Writes(nn.Module):
    def forward(self, x):
        return x.clamp_(min=0)


class Softmaxed(nn.Module):
    def forward(self, x):
        return (x.exp() / x.exp().sum(-1, keepdim=True)).contiguous()


class Doubled(nn.Module):
    def forward(self, x):
        return 2 * x + 1


class Sums(nn.Module):
    def forward(self, a, b):
        return a + b


class Wide(nn.Module):
    def forward(self, x):
        return x.reshape(len(x), 4, -1)


class Scaled(nn.Module):
    def __init__(self):
        super().__init__()
        self.w = nn.Parameter(torch.ones(4))

    def forward(self, x):
        return x * self.w


class MyRMSNorm(nn.Module):
    def forward(self, x):
        return x / x.norm(dim=-1, keepdim=True)


class MySelfAttention(nn.Module):
    def __init__(self):
        super().__init__()
        self.q = nn.Linear(2, 2)


class WordDropout(nn.Module):
    def forward(self, x):
        return F.relu(x)


@pytest.mark.parametrize(
    ("module", "kind"),
    [
        (nn.Linear(2, 2), "affine"), (nn.Conv2d(1, 1, 1), "affine"), (nn.ConvTranspose1d(1, 1, 1), "affine"),
        (nn.Bilinear(2, 2, 2), "affine"), (nn.Embedding(3, 2), "embedding"), (nn.EmbeddingBag(3, 2), "embedding"),
        (nn.ReLU(), "activation"), (nn.PReLU(), "activation"), (nn.GELU(), "activation"), (nn.Hardtanh(), "activation"),
        (nn.Threshold(0.1, 0), "activation"), (nn.RReLU(), "activation"), (nn.Softmax(1), "other"), (nn.GLU(), "other"),
        (nn.LogSoftmax(1), "other"), (nn.BatchNorm2d(2), "norm"), (nn.LayerNorm(2), "norm"),
        (nn.GroupNorm(1, 2), "norm"),
        (nn.InstanceNorm1d(2), "norm"), (nn.RMSNorm(2), "norm"), (nn.LocalResponseNorm(2), "norm"),
        (MyRMSNorm(), "norm"),
        (nn.MultiheadAttention(2, 1), "attention"), (MySelfAttention(), "attention"), (nn.LSTM(2, 2), "recurrent"),
        (nn.GRUCell(2, 2), "recurrent"), (nn.MaxPool2d(2), "pool"), (nn.AdaptiveAvgPool1d(2), "pool"),
        (nn.Identity(), "other"), (nn.Flatten(), "other"), (nn.Dropout(), "other"), (WordDropout(), "other"),
        (nn.Sequential(), "container"), (nn.ModuleList(), "container"), (nn.TransformerEncoderLayer(2, 1, 2), "block"),
        (Squared(), "activation"), (Writes(), "activation"), (Softmaxed(), "other"), (Doubled(), "other"),
        (Sums(), "other"), (Wide(), "other"), (Scaled(), "block"), (nn.CosineSimilarity(), "other"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, nn.Module) else value,
)  # fmt: skip
def test_kinds(module, kind):
    assert kind_of(module) == kind


class Remembers(nn.Module):
    def forward(self, x):
        self.last = x
        return torch.relu(x)


def test_trying_a_module_leaves_no_trace_on_it():
    net, fired = Remembers(), []
    net.register_forward_hook(lambda *_: fired.append(1))
    assert kind_of(net) == "activation"
    assert elementwise(net)(torch.tensor([-1.0, 2.0])).tolist() == [0, 2]
    assert "last" not in vars(net)
    assert fired == []


def test_every_function_listened_to_exists_and_is_elementwise():
    z = torch.linspace(-2, 2, 9)
    extra = {"prelu": (torch.tensor([0.1]),), "threshold": (0.1, 0.0)}
    for name in FUNCTIONS:
        function = getattr(F, name, None) or getattr(torch, name)
        whole = function(z, *extra.get(name, ()))
        assert torch.allclose(whole[2:5], function(z[2:5], *extra.get(name, ())))


def test_where_channels_are():
    assert channels(nn.Conv3d(1, 1, 1)) == channels(nn.MaxPool2d(2)) == channels(nn.BatchNorm1d(2)) == "second"
    assert channels(nn.Linear(2, 2)) == channels(nn.RMSNorm(2)) == channels(nn.GRU(2, 2)) == "last"
    assert channels(nn.ReLU()) is channels(None) is None
