"""Rows of every layer, on real modules of every family."""

import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from unbend.capture import representations
from unbend.errors import ShapeError

G = torch.Generator().manual_seed(0)


@pytest.mark.parametrize("dims", [1, 2, 3])
def test_convolutions_and_norms_give_one_row_of_channels_per_sample(dims):
    conv, norm = (getattr(nn, f"{name}{dims}d") for name in ("Conv", "BatchNorm"))
    pool = getattr(nn, f"AdaptiveAvgPool{dims}d")
    net = nn.Sequential(conv(2, 5, 3), norm(5), nn.ReLU(), pool(1), nn.Flatten(), nn.Linear(5, 3)).eval()
    x = torch.randn(4, 2, *[6] * dims, generator=G)
    rows = representations(net, x)
    assert {name: tuple(r.shape) for name, r in rows.items()} == {
        "0": (4, 5), "1": (4, 5), "2": (4, 5), "5": (4, 3),
    }  # fmt: skip
    assert torch.allclose(rows["0"], net[0](x).flatten(2).mean(2), atol=1e-6)
    assert torch.equal(representations(net, x, reduce="flatten")["0"], net[0](x).flatten(1))
    assert torch.equal(representations(net, x, reduce={"0": "max"})["0"], net[0](x).flatten(2).amax(2))


class Attends(nn.Module):
    """Takes [n, t, d], whatever its attention wants."""

    def __init__(self, *, batch_first):
        super().__init__()
        self.up, self.attn = nn.Linear(3, 8), nn.MultiheadAttention(8, 2, batch_first=batch_first)
        self.norm, self.batch_first = nn.LayerNorm(8), batch_first

    def forward(self, x):
        h = x if self.batch_first else x.transpose(0, 1)
        h = self.up(h)
        h = self.norm(h + self.attn(h, h, h)[0])
        return h if self.batch_first else h.transpose(0, 1)


@pytest.mark.parametrize("t", [2, 5, 6])
def test_attention_reads_the_same_with_time_first_and_samples_first(t):
    nets = [Attends(batch_first=flag).eval() for flag in (True, False)]
    nets[1].load_state_dict(nets[0].state_dict())
    x = torch.randn(5, t, 3, generator=G)
    one, other = (representations(net, x, reduce="last") for net in nets)
    assert list(one)[:3] == list(other)[:3] == ["up", "attn", "norm"]
    for name in ("up", "attn", "norm"):
        assert torch.allclose(one[name], other[name], atol=1e-6)
    assert torch.allclose(one["up"], nets[0].up(x)[:, -1])


class Recurs(nn.Module):
    def __init__(self, cell, *, batch_first, packed=False):
        super().__init__()
        self.rnn = cell(3, 4, batch_first=batch_first, bidirectional=True)
        self.head, self.batch_first, self.packed = nn.Linear(8, 2), batch_first, packed

    def forward(self, x, length=None):
        h = x if self.batch_first else x.transpose(0, 1)
        if self.packed:
            h = pack_padded_sequence(h, length.cpu(), batch_first=self.batch_first, enforce_sorted=False)
        out = self.rnn(h)[0]
        if self.packed:
            out = pad_packed_sequence(out, batch_first=True)[0]
        return self.head(out[:, 0] if self.batch_first or self.packed else out[0])


@pytest.mark.parametrize("cell", [nn.LSTM, nn.GRU, nn.RNN])
@pytest.mark.parametrize("t", [4, 5])
def test_recurrent_layers_give_their_last_step(cell, t):
    first = Recurs(cell, batch_first=True)
    second = Recurs(cell, batch_first=False)
    second.load_state_dict(first.state_dict())
    x = torch.randn(5, t, 3, generator=G)
    expected = first.rnn(x)[0]
    for net in (first, second):
        rows = representations(net, x)
        assert list(rows) == ["rnn", "head"]
        assert torch.allclose(rows["rnn"], expected[:, -1], atol=1e-6)
        assert torch.allclose(representations(net, x, reduce="mean")["rnn"], expected.mean(1), atol=1e-6)


@pytest.mark.parametrize("batch_first", [True, False])
@pytest.mark.parametrize("cell", [nn.LSTM, nn.GRU])
def test_packed_sequences_count_only_their_own_tokens(cell, batch_first):
    net = Recurs(cell, batch_first=batch_first, packed=True)
    x, length = torch.randn(4, 6, 3, generator=G), torch.tensor([6, 2, 3, 1])
    rows = representations(net, (x, length))["rnn"]
    for i, n in enumerate(length):
        alone = x[i : i + 1, :n] if batch_first else x[i : i + 1, :n].transpose(0, 1)
        out = net.rnn(alone)[0].reshape(int(n), 8)
        assert torch.allclose(rows[i], out[-1], atol=1e-6)
        means = representations(net, (x, length), reduce="mean")["rnn"]
        assert torch.allclose(means[i], out.mean(0), atol=1e-6)


def test_masks_leave_padding_out():
    class Tokens(nn.Module):
        def __init__(self):
            super().__init__()
            self.embed, self.up = nn.Embedding(9, 4), nn.Linear(4, 5)

        def forward(self, *, input_ids, attention_mask):
            return self.up(self.embed(input_ids)) * attention_mask[..., None]

    net = Tokens()
    ids = torch.randint(9, (3, 4), generator=G)
    mask = torch.tensor([[1, 1, 1, 1], [1, 1, 0, 0], [0, 1, 1, 0]])
    inputs = {"input_ids": ids, "attention_mask": mask}
    up = net.up(net.embed(ids))
    for rule, expected in (
        ("mean", torch.stack([up[0].mean(0), up[1, :2].mean(0), up[2, 1:3].mean(0)])),
        ("last", torch.stack([up[0, 3], up[1, 1], up[2, 2]])), ("cls", torch.stack([up[0, 0], up[1, 0], up[2, 1]])),
        ("max", torch.stack([up[0].amax(0), up[1, :2].amax(0), up[2, 1:3].amax(0)])),
    ):  # fmt: skip
        assert torch.allclose(representations(net, inputs, reduce=rule)["up"], expected, atol=1e-6)


def test_the_encoder_of_torch_with_padding():
    torch.manual_seed(0)
    net = nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), 2).eval()
    x, pad = torch.randn(4, 5, 8), torch.arange(5)[None, :] >= torch.tensor([5, 3, 1, 4])[:, None]
    rows = representations(net, {"src": x, "src_key_padding_mask": pad}, mask=~pad)
    out = net(x, src_key_padding_mask=pad).detach()  # with gradients, so not on the fast path
    expected = torch.stack([out[i, : int((~pad[i]).sum())].mean(0) for i in range(4)])
    assert torch.allclose(rows["layers.1.norm2"], expected, atol=1e-5)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_precisions(dtype):
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(inplace=True), nn.Flatten(), nn.Linear(32, 2)).to(dtype)
    x = torch.randn(3, 1, 6, 6, generator=G).to(dtype)
    rows = representations(net, x)
    before = net[0](x).double()
    assert torch.allclose(rows["0"].double(), before.mean((2, 3)), atol=5e-2)
    assert not torch.allclose(rows["0"].double(), before.relu().mean((2, 3)), atol=5e-2)
    assert rows["3"].dtype == dtype


@pytest.mark.parametrize("n", [1, 2, 3])
def test_few_samples_are_no_special_case(n):
    net = Attends(batch_first=False)
    x = torch.randn(n, 1, 3, generator=G)
    rows = representations(net, x)
    assert all(len(r) == n for r in rows.values())
    assert torch.allclose(rows["up"], net.up(x)[:, 0], atol=1e-6)


def test_one_number_per_sample_is_a_row_of_one():
    class Regression(nn.Module):
        def __init__(self):
            super().__init__()
            self.a = nn.Linear(4, 1)

        def forward(self, x):
            return self.a(x).squeeze(-1)

    net, x = Regression(), torch.randn(5, 4, generator=G)
    rows = representations(net, x, layers=["a", "output"])
    assert rows["a"].shape == rows["output"].shape == (5, 1)
    assert torch.equal(rows["a"], rows["output"])


def test_models_without_parameters_and_without_layers():
    x = torch.randn(5, 4, generator=G)
    assert list(representations(nn.Sequential(nn.ReLU(), nn.Tanh()), x)) == ["0", "1"]
    assert torch.equal(representations(nn.Sequential(), x)["output"], x)
    assert torch.equal(representations(nn.Identity(), x)["output"], x)
    assert torch.equal(representations(nn.Linear(4, 2), x)["output"], torch.zeros(5, 2)) is False


def test_deleted_and_replaced_layers():
    net = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 4), nn.ReLU())
    del net[2]
    net[0] = nn.Identity()
    assert list(representations(net, torch.randn(3, 4))) == ["1", "2"]


def test_rows_are_copies_on_their_own():
    net, x = nn.Sequential(nn.Identity(), nn.Linear(4, 2)), torch.randn(5, 4, generator=G)
    rows = representations(net, x, layers=["0"])["0"]
    rows.zero_()
    assert x.abs().sum() > 0


@pytest.mark.parametrize("inputs", [torch.zeros(0, 4), {}, (), [1, 2], torch.tensor(3.0)])
def test_a_batch_without_samples_is_refused(inputs):
    with pytest.raises(ShapeError, match="expected a batch of at least one sample"):
        representations(nn.Linear(4, 2), inputs)
