"""Recurrent networks and attention by hand."""

import torch
from tests.architectures.entry import Entry, N, Net, normal, padding, residual, tokens
from torch import nn
from torch.nn import functional as F
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

STEPS = normal(6, 4)
LAST = {"*": "nc", "rnn": "npc last"}
TOKENS = {"*": "npc"}


def last_of(rnn: nn.Module, width: int) -> Net:
    return Net(lambda s, x: s.head(s.rnn(x)[0][:, -1]), rnn=rnn, head=nn.Linear(width, 2))


def time_first(s, x):
    return s.head(s.rnn(x.transpose(0, 1))[0][-1])


def cell_by_cell(s, x):
    h = x.new_zeros(len(x), 5)
    for t in range(x.shape[1]):
        h = s.cell(x[:, t], h)
    return s.head(h)


def packed(s, x):
    lengths = padding(6).sum(1)
    out, _ = s.rnn(pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False))
    padded, n = pad_packed_sequence(out, batch_first=True)
    return s.head(padded[torch.arange(len(n)), n - 1])


class TakesPacked(nn.Module):
    def __init__(self):
        super().__init__()
        self.rnn, self.head = nn.GRU(4, 5, batch_first=True), nn.Linear(5, 2)

    def forward(self, sequence):
        return self.head(self.rnn(sequence)[1][-1])


class Remembers(nn.Module):
    """Keeps its state from one batch to the next."""

    def __init__(self):
        super().__init__()
        self.rnn, self.head, self.state = nn.GRU(4, 5, batch_first=True), nn.Linear(5, 2), None

    def forward(self, x):
        state = self.state if self.state is not None and self.state.shape[1] == len(x) else None
        out, self.state = self.rnn(x, state)
        return self.head(out[:, -1])


class Attention(nn.Module):
    """Self-attention by hand, of two heads."""

    def __init__(self, width):
        super().__init__()
        self.q, self.k, self.v, self.out = (nn.Linear(width, width) for _ in range(4))

    def forward(self, x, context=None):
        context = x if context is None else context
        q, k, v = (f(z).unflatten(-1, (2, -1)).transpose(1, 2) for f, z in
                   ((self.q, x), (self.k, context), (self.v, context)))  # fmt: skip
        weight = (q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5).softmax(-1)
        return self.out((weight @ v).transpose(1, 2).flatten(-2))


class Masked(nn.Module):
    """An encoder that takes its padding as torch does: true where nothing is."""

    def __init__(self):
        super().__init__()
        self.embed, self.head = nn.Embedding(20, 8), nn.Linear(8, 2)
        self.layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)

    def forward(self, ids, src_key_padding_mask):
        h = self.layer(self.embed(ids), src_key_padding_mask=src_key_padding_mask)
        kept = ~src_key_padding_mask[..., None]
        return self.head((h * kept).sum(1) / kept.sum(1))


class Bag(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed, self.head = nn.Embedding(20, 8), nn.Linear(8, 2)

    def forward(self, input_ids, attention_mask):
        h = torch.tanh(self.embed(input_ids)) * attention_mask[..., None]
        return self.head(h.sum(1) / attention_mask.sum(1, keepdim=True))


class Mixer(nn.Module):
    def __init__(self):
        super().__init__()
        self.over_tokens, self.over_channels = nn.Linear(6, 6), nn.Linear(4, 4)

    def forward(self, x):
        x = x + F.gelu(self.over_tokens(x.transpose(1, 2))).transpose(1, 2)
        return x + F.gelu(self.over_channels(x))


class SpatialGate(nn.Module):
    """The gate of gMLP: one half of the channels, mixed over positions, opens the other."""

    def __init__(self):
        super().__init__()
        self.norm, self.mix = nn.LayerNorm(4), nn.Linear(6, 6)

    def forward(self, x):
        u, v = x.chunk(2, -1)
        return u * self.mix(self.norm(v).transpose(1, 2)).transpose(1, 2)


def sentence():
    return {"input_ids": tokens(6)(), "attention_mask": padding(6).long()}


def torch_masked():
    return {"ids": tokens(6)(), "src_key_padding_mask": ~padding(6)}


def pack():
    return pack_padded_sequence(torch.randn(N, 6, 4), padding(6).sum(1), batch_first=True, enforce_sorted=False)


def pooled(*body: nn.Module, width: int) -> Net:
    return Net(lambda s, x: s.head(s.body(x).mean(1)), body=nn.Sequential(*body), head=nn.Linear(width, 2))


POOLED = {"*": "npc", "head": "nc"}

ENTRIES = [
    Entry(name="RNN", inputs=STEPS, axes=LAST, build=lambda: last_of(nn.RNN(4, 5, batch_first=True), 5)),
    Entry(name="LSTM", inputs=STEPS, axes=LAST, build=lambda: last_of(nn.LSTM(4, 5, batch_first=True), 5)),
    Entry(name="GRU of two layers", inputs=STEPS, axes=LAST,
          build=lambda: last_of(nn.GRU(4, 5, num_layers=2, batch_first=True), 5)),
    Entry(name="bidirectional LSTM", inputs=STEPS, axes=LAST,
          build=lambda: last_of(nn.LSTM(4, 5, batch_first=True, bidirectional=True), 10)),
    Entry(name="LSTM with a projection", inputs=STEPS, axes=LAST,
          build=lambda: last_of(nn.LSTM(4, 5, proj_size=3, batch_first=True), 3)),
    Entry(name="LSTM with time first", inputs=STEPS, axes={"rnn": "pnc last"},
          build=lambda: Net(time_first, rnn=nn.LSTM(4, 5), head=nn.Linear(5, 2))),
    Entry(name="GRU with time first", inputs=STEPS, axes={"rnn": "pnc last"},
          build=lambda: Net(time_first, rnn=nn.GRU(4, 5), head=nn.Linear(5, 2))),
    Entry(name="recurrent cell in a loop", inputs=STEPS,
          build=lambda: Net(cell_by_cell, cell=nn.GRUCell(4, 5), head=nn.Linear(5, 2))),
    Entry(name="sequences packed in forward", inputs=STEPS, axes=LAST,
          build=lambda: Net(packed, rnn=nn.LSTM(4, 5, batch_first=True), head=nn.Linear(5, 2))),
    Entry(name="packed sequences as inputs", inputs=pack, axes=LAST, build=TakesPacked),
    Entry(name="state kept between batches", inputs=STEPS, axes=LAST, build=Remembers),
    Entry(name="convolutional and recurrent", inputs=normal(3, 9), axes={"conv": "ncp", "rnn": "npc last"},
          build=lambda: Net(lambda s, x: s.head(s.rnn(s.conv(x).transpose(1, 2))[0][:, -1]), conv=nn.Conv1d(3, 4, 3),
                            rnn=nn.GRU(4, 5, batch_first=True), head=nn.Linear(5, 2))),
    Entry(name="attention by hand", inputs=STEPS, axes=POOLED, build=lambda: pooled(Attention(4), nn.ReLU(), width=4)),
    Entry(name="torch's attention", inputs=STEPS, axes=POOLED,
          build=lambda: Net(lambda s, x: s.head(s.attention(x, x, x)[0].mean(1)), head=nn.Linear(4, 2),
                            attention=nn.MultiheadAttention(4, 2, batch_first=True))),
    Entry(name="torch's attention with time first", inputs=STEPS, axes={"attention": "pnc"},
          build=lambda: Net(lambda s, x: s.head(s.attention(*3 * [x.transpose(0, 1)])[0].mean(0)),
                            head=nn.Linear(4, 2), attention=nn.MultiheadAttention(4, 2))),
    Entry(name="cross attention", inputs=lambda: (STEPS(), normal(3, 4)()), axes=POOLED,
          build=lambda: Net(lambda s, x, y: s.head(s.attention(x, y).mean(1)), attention=Attention(4),
                            head=nn.Linear(4, 2))),
    Entry(name="torch's encoder", inputs=STEPS, axes=POOLED,
          build=lambda: pooled(nn.TransformerEncoderLayer(4, 2, 8, batch_first=True),
                               nn.TransformerEncoderLayer(4, 2, 8, batch_first=True, norm_first=True), width=4)),
    Entry(name="encoder and decoder", inputs=lambda: (STEPS(), normal(3, 4)()), axes=POOLED,
          build=lambda: Net(lambda s, x, y: s.head(s.body(x, y).mean(1)), head=nn.Linear(4, 2),
                            body=nn.Transformer(4, 2, 1, 1, 8, batch_first=True))),
    Entry(name="padding, true where nothing is", inputs=torch_masked, masks=lambda: {"mask": padding(6)},
          axes={"*": "npc mask", "head": "nc"}, build=Masked),
    Entry(name="bag of words with padding", inputs=sentence, masks=lambda: {"mask": padding(6)},
          axes={"*": "npc mask", "head": "nc"}, build=Bag),
    Entry(name="embedding bag", inputs=tokens(6), axes={},
          build=lambda: nn.Sequential(nn.EmbeddingBag(20, 8), nn.ReLU(), nn.Linear(8, 2))),
    Entry(name="MLP-Mixer", inputs=STEPS, build=lambda: pooled(Mixer(), nn.LayerNorm(4), width=4),
          axes=POOLED),
    Entry(name="gMLP", inputs=STEPS, axes=POOLED,
          build=lambda: pooled(residual(nn.Linear(4, 8), nn.GELU(), SpatialGate(), nn.Linear(4, 4)), width=4)),
    Entry(name="one read-out for every token", inputs=tokens(6), axes=TOKENS,
          build=lambda: nn.Sequential(nn.Embedding(20, 8), nn.Linear(8, 8), nn.Tanh(), nn.Linear(8, 3))),
]  # fmt: skip
