"""The anchor of the twin: the twin of an untrained network reads like the network itself, whatever it is made of."""

import math

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations

import unbend
from unbend.capture import representations, twin
from unbend.numerics.readout import Readout
from unbend.study import draws

WIDTH = 32


class Norm(nn.Module):
    """An RMS norm by hand; its gain has any name and shape."""

    def __init__(self, name, shape=(WIDTH,), value=1.0):
        super().__init__()
        self.name = name
        self.register_parameter(name, nn.Parameter(torch.full(shape, value)))

    def forward(self, x):
        return getattr(self, self.name) * x * x.square().mean(-1, keepdim=True).add(1e-6).rsqrt()


class Residual(nn.Module):
    """A branch that is scaled by a gain of its own."""

    def __init__(self, branch, gain):
        super().__init__()
        self.branch, self.layer_scale = branch, nn.Parameter(torch.tensor(gain))

    def forward(self, x):
        return x + self.layer_scale * self.branch(x)


class Spectral(nn.Module):
    """A layer in frequencies with complex weights, as Fourier neural operators have."""

    def __init__(self):
        super().__init__()
        modes = WIDTH // 2 + 1
        self.modes = nn.Parameter(torch.randn(modes, dtype=torch.cfloat))
        self.mix = nn.Parameter(torch.randn(modes, modes, dtype=torch.cfloat) / math.sqrt(modes))

    def forward(self, x):
        return torch.fft.irfft(torch.fft.rfft(x) * self.modes @ self.mix, n=WIDTH)


class Codebook(nn.Module):
    """A quantizer: each row becomes the nearest of 64 codes."""

    def __init__(self, codes):
        super().__init__()
        self.codes = codes

    def forward(self, x):
        table = self.codes.weight if isinstance(self.codes, nn.Embedding) else self.codes
        return table[torch.cdist(x, table).argmin(1)]


def embedding_of_codes():
    table = nn.Embedding(64, WIDTH)
    nn.init.uniform_(table.weight, -1 / 64, 1 / 64)
    return table


class Tied(nn.Module):
    """An autoencoder whose decoder is the encoder's transpose; the tie is with an embedding's table."""

    def __init__(self):
        super().__init__()
        self.table, self.head = nn.Embedding(WIDTH, WIDTH), nn.Linear(WIDTH, WIDTH, bias=False)
        self.head.weight = self.table.weight

    def forward(self, x):
        return self.head(x)


class Adapted(nn.Module):
    """A linear layer with a low-rank adapter, whose second factor starts at zero."""

    def __init__(self):
        super().__init__()
        self.base, self.lora_A = nn.Linear(WIDTH, WIDTH), nn.Parameter(torch.randn(4, WIDTH))
        self.lora_B = nn.Parameter(torch.zeros(WIDTH, 4))

    def forward(self, x):
        return self.base(x) + x @ self.lora_A.T @ self.lora_B.T


class Experts(nn.Module):
    """A mixture of experts with stacked weights [e, in, out]."""

    def __init__(self):
        super().__init__()
        self.gate = nn.Linear(WIDTH, 4)
        self.w = nn.Parameter(torch.randn(4, WIDTH, WIDTH) / math.sqrt(WIDTH))
        self.b = nn.Parameter(torch.zeros(4, WIDTH))

    def forward(self, x):
        out = torch.einsum("ni,eio->neo", x, self.w) + self.b
        return (self.gate(x).softmax(-1)[..., None] * out).sum(1)


class Sine(nn.Module):
    """A layer of SIREN: its method draws weights far smaller than a linear layer's."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(WIDTH, WIDTH)
        self.init_weights()

    def init_weights(self):
        nn.init.uniform_(self.linear.weight, -math.sqrt(6 / WIDTH) / 30, math.sqrt(6 / WIDTH) / 30)

    def forward(self, x):
        return torch.sin(30 * self.linear(x))


class Swish(nn.Module):
    def __init__(self):
        super().__init__()
        self.beta = nn.Parameter(torch.ones(1))

    def forward(self, x):
        return x * torch.sigmoid(self.beta * x)


class Leaky(nn.Module):
    """Spiking-like: decays between 0.8 and 1, a threshold, three steps."""

    def __init__(self):
        super().__init__()
        self.decay, self.threshold = nn.Parameter(0.8 + 0.2 * torch.rand(WIDTH)), nn.Parameter(torch.full((), 0.5))

    def forward(self, x):
        v = torch.zeros_like(x)
        for _ in range(3):
            v = self.decay * v + x
            v = v - self.threshold * (v > self.threshold)
        return v


def closed(layer):
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer


def small():
    layer = nn.Linear(WIDTH, WIDTH)
    nn.init.normal_(layer.weight, std=0.02)
    nn.init.zeros_(layer.bias)
    return layer


PARTS = {
    "gain called scale": lambda: Norm("scale"),
    "gain called gamma": lambda: Norm("gamma"),
    "gain called g": lambda: Norm("g"),
    "gain of no known name": lambda: Norm("oomph"),
    "gain with axes of length one": lambda: Norm("gamma", (1, WIDTH)),
    "gain that is one number": lambda: Norm("alpha", ()),
    "gain below one": lambda: Norm("scale", value=0.1),
    "layer scale": lambda: Residual(nn.Linear(WIDTH, WIDTH), 1e-4),
    "branch that starts closed": lambda: Residual(closed(nn.Linear(WIDTH, WIDTH)), 1.0),
    "complex weights": Spectral,
    "codebook as a parameter": lambda: Codebook(nn.Parameter(torch.randn(64, WIDTH))),
    "codebook as an embedding": lambda: Codebook(embedding_of_codes()),
    "tied to an embedding": Tied,
    "adapter": Adapted,
    "experts": Experts,
    "sine layer": Sine,
    "learned swish": Swish,
    "spiking": Leaky,
    "normal 0.02": small,
    "weight norm": lambda: parametrizations.weight_norm(nn.Linear(WIDTH, WIDTH)),
    "spectral norm": lambda: parametrizations.spectral_norm(nn.Linear(WIDTH, WIDTH)),
    "orthogonal": lambda: parametrizations.orthogonal(nn.Linear(WIDTH, WIDTH)),
    "attention": lambda: nn.TransformerEncoderLayer(WIDTH, 2, 64, batch_first=True),
    "batch norm": lambda: nn.BatchNorm1d(WIDTH),
}


def network(part):
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(64, WIDTH), PARTS[part](), nn.ReLU(), nn.Linear(WIDTH, 10))
    return net.eval()


@pytest.fixture(scope="module")
def digits():
    return unbend.load.data("digits")


@pytest.mark.parametrize("part", PARTS)
def test_the_twin_of_an_untrained_network_reads_like_the_network(part, digits, monkeypatch):
    monkeypatch.setattr(draws, "DRAWS", 1)  # the first is compared, and the others cost half of a study
    net = network(part)
    found = unbend.study(net, digits, layers=["0", "1", "2", "3"], measures=["readout"])
    for layer in found.layers[1:]:
        own, fresh = layer.results["readout"], layer.twin["readout"]
        assert isinstance(own, Readout)
        assert fresh.held_out == pytest.approx(own.held_out, abs=0.12), layer.name


@pytest.mark.parametrize("part", PARTS)
def test_its_signals_are_as_large(part, digits):
    net = network(part)
    x = torch.as_tensor(digits.x).float().flatten(1)[:256]
    own, fresh = (representations(m, x) for m in (net, twin(net, seed=1)))
    assert own.keys() == fresh.keys()
    for name, rows in own.items():
        rms, expected = (float(h.square().mean().sqrt()) for h in (fresh[name], rows))
        assert expected / 2 <= rms <= 2 * expected, name


def test_a_trained_gain_starts_again_where_gains_start():
    for name, trained, start in (
        ("gamma", 1 + 0.2 * torch.rand(WIDTH), 1.0),
        ("scale", 2e-4 * torch.rand(WIDTH), 1e-4),
    ):
        norm = Norm(name)
        getattr(norm, name).data = trained
        assert getattr(twin(norm, seed=0), name).tolist() == pytest.approx([start] * WIDTH)


def test_what_no_rule_speaks_for_keeps_its_values_and_loses_their_order():
    for values in (torch.rand(WIDTH), 5 * torch.randn(8, 8), torch.randn(6, dtype=torch.cfloat)):
        part = nn.ParameterDict({"odd": nn.Parameter(values)})
        one, other = (twin(part, seed=s)["odd"] for s in (0, 1))
        assert not torch.equal(one, values)
        assert not torch.equal(one, other)
        assert sorted(one.detach().abs().flatten().tolist()) == sorted(values.abs().flatten().tolist())


def test_an_adapter_that_was_trained_starts_closed_again():
    net = Adapted()
    nn.init.normal_(net.lora_B)
    assert not twin(net, seed=0).lora_B.any()


def test_a_network_is_drawn_from_the_inside_out_as_its_constructor_draws_it():
    net = nn.Transformer(8, 2, 1, 1, 16, batch_first=True)
    fresh = twin(net, seed=3)
    torch.manual_seed(3)
    expected = nn.Transformer(8, 2, 1, 1, 16, batch_first=True)
    assert all(torch.equal(a, b) for a, b in zip(fresh.parameters(), expected.parameters(), strict=True))


class Gpt(nn.Module):
    """A network with a rule for each of its modules, as small GPTs are written."""

    def __init__(self):
        super().__init__()
        self.up, self.down = nn.Linear(8, 16), nn.Linear(16, 8)
        self.apply(self._init_weights)

    def _init_weights(self, module):
        if isinstance(module, nn.Linear):
            nn.init.constant_(module.weight, 0.25)
            nn.init.zeros_(module.bias)


def test_the_models_own_rule_has_the_last_word():
    net = Gpt()
    for p in net.parameters():
        nn.init.normal_(p)
    fresh = twin(net, seed=0)
    assert fresh.up.weight.unique().tolist() == [0.25]
    assert fresh.down.bias.unique().tolist() == [0]


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")
@pytest.mark.parametrize("wrap", [parametrizations.spectral_norm, nn.utils.spectral_norm])
def test_a_spectral_norm_is_right_at_the_first_pass_in_evaluation(wrap):
    fresh = twin(wrap(nn.Linear(WIDTH, 16)).eval(), seed=0)
    fresh(torch.zeros(1, WIDTH))
    assert torch.linalg.matrix_norm(fresh.weight.detach(), 2).item() == pytest.approx(1, abs=0.02)


def test_sine_layers_take_their_own_method_even_where_training_made_them_large():
    net = Sine()
    nn.init.normal_(net.linear.weight)
    assert twin(net, seed=0).linear.weight.abs().max() <= math.sqrt(6 / WIDTH) / 30 + 1e-6
