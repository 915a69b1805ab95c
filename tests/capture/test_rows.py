"""Rows are right whatever the model and whatever its inputs, or a sentence says why not."""

from dataclasses import dataclass

import numpy as np
import pytest
import torch
from tests.capture.flow.cases import Net
from torch import nn
from torch.nn import functional as F
from torch.nn.utils.rnn import pack_sequence, pad_packed_sequence

from unbend.capture import plan, representations
from unbend.errors import LayerError, ModelError, ShapeError

N = 40
SEED = torch.Generator().manual_seed(0)


def normal(*shape):
    return torch.randn(*shape, generator=SEED)


def lengths_mask(t, *, least=1):
    return torch.arange(t)[None] < torch.randint(least, t + 1, (N, 1), generator=SEED)


# Which axis holds the units


class Crop(nn.Module):
    def forward(self, x):
        return x[..., :-2]


class ToLast(nn.Module):
    def forward(self, x):
        return x.movedim(1, -1)


def silence(conv, kept=3):
    with torch.no_grad():
        conv.weight[kept:] = 0
        conv.bias[kept:] = -1


@pytest.mark.parametrize(
    ("between", "shape"),
    [
        ((Crop(),), (2, 20)),
        ((ToLast(), nn.Identity()), (2, 9, 9)),
        ((nn.Dropout(), nn.Upsample(scale_factor=2)), (2, 7)),
        ((nn.Unflatten(1, (2, 4)), nn.Flatten(1, 2), Crop()), (2, 9, 8, 7)),
    ],
    ids=["crop", "channels last", "upsampled", "grouped and back, three axes"],
)
def test_dead_channels_are_counted_behind_whatever_moves_them(between, shape):
    torch.manual_seed(0)
    conv = (nn.Conv1d, nn.Conv2d, nn.Conv3d)[len(shape) - 2](2, 8, 3)
    silence(conv)
    net = nn.Sequential(conv, *between, nn.ReLU()).eval()
    name = str(len(net) - 1)
    rows = representations(net, normal(N, *shape), layers=[name])[name]
    assert rows.shape == (N, 8)
    assert int((rows == 0).all(0).sum()) == 5


def test_heads_and_their_columns_are_units_together():
    net = Net(lambda net, x: net.act(net.a(x).unflatten(-1, (2, 3)).transpose(1, 2)), a=nn.Linear(5, 6), act=nn.Tanh())
    x = normal(N, 7, 5)
    rows = representations(net, x)["act"]
    assert torch.allclose(rows, net.a(x).tanh().mean(1), atol=1e-6)


def test_units_between_positions_are_moved_behind_them():
    net = Net(lambda net, x: net.act(net.a(x).movedim(-1, 2)), a=nn.Linear(5, 6), act=nn.Tanh())
    x = normal(N, 4, 7, 5)
    assert torch.allclose(representations(net, x)["act"], net.a(x).tanh().mean((1, 2)), atol=1e-6)


def test_where_nothing_tells_it_is_told_and_can_be_set():
    net, x = Net(lambda net, x: net.act(x * 2), act=nn.ReLU()), normal(N, 5, 6)
    silent = plan(net, x, N)
    assert any(
        note.startswith("Nothing says which axis holds the units; assumed for act (axis 2)") for note in silent.notes
    )
    assert torch.allclose(representations(net, x)["act"], (x * 2).relu().mean(1))
    for at in (1, -2):
        told = plan(net, x, N, axis={"a*": at})
        assert not any("Nothing says" in note for note in told.notes)
        assert torch.allclose(representations(net, x, axis={"act": at})["act"], (x * 2).relu().mean(2))
    with pytest.raises(LayerError, match=r"^axis: 'act' puts out .*expected one of the axes 1, 2 .*got 0"):
        plan(net, x, N, axis={"act": 0})


# Every element-wise non-linearity


class Double(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return torch.relu(x) * 2

    @staticmethod
    def backward(ctx, g):
        return g


def own_function(h):
    return Double.apply(h)


BENDS = {
    "clamp": lambda h: h.clamp(min=0), "clamp_min": lambda h: torch.clamp_min(h, 0.0),
    "maximum": lambda h: torch.maximum(h, torch.zeros_like(h)), "where": lambda h: torch.where(h > 0, h, 0.0),
    "gate": lambda h: h * (h > 0), "abs": torch.abs, "sin": torch.sin,
    "erf": lambda h: 0.5 * h * (1 + torch.erf(h / 2**0.5)), "threshold": lambda h: F.threshold(h, 0.1, 0.0),
    "own function": own_function, "in place": lambda h: h.masked_fill_(h < 0, 0),
}  # fmt: skip


@pytest.mark.parametrize("bend", BENDS.values(), ids=BENDS)
def test_an_activation_by_hand_is_a_layer_with_the_values_that_the_next_one_reads(bend):
    net = Net(lambda net, x: net.b(bend(net.a(x))), a=nn.Linear(4, 8), b=nn.Linear(8, 2))
    x = normal(N, 4)
    rows = representations(net, x)
    (name,) = set(rows) - {"a", "b"}
    assert torch.allclose(rows["a"], net.a(x), atol=1e-6)
    last = rows[name] * 2 if bend is own_function else rows[name]
    assert torch.allclose(net.b(last), rows["b"], atol=1e-6)
    taps = {tap.name: tap for tap in plan(net, x, N).taps}
    assert (taps["a"].feeders, taps[name].feeders, taps["b"].feeders) == (("input",), ("a",), (name,))


def test_what_lies_between_layers_is_told():
    net = Net(lambda net, x: net.b(net.a(x).softmax(-1).cumsum(-1)), a=nn.Linear(4, 8), b=nn.Linear(8, 2))
    notes = plan(net, normal(N, 4), N).notes
    assert any(note == "Computed between layers and not shown as one: softmax, cumsum (before b)." for note in notes)


# What feeds what


def test_branches_have_several_feeders_and_names_for_the_same_values_have_none():
    def run(net, x):
        h = net.a(x)
        return net.out(net.same(net.left(h)) + net.right(h))

    net = Net(run, a=nn.Linear(4, 4), left=nn.Linear(4, 3), same=nn.Identity(), right=nn.Linear(4, 3), out=nn.ReLU())
    taps = {tap.name: tap for tap in plan(net, normal(N, 4), N, layers=["*"]).taps}
    assert taps["out"].feeders == ("left", "right")
    assert taps["right"].feeders == taps["left"].feeders == ("a",)
    assert (taps["same"].alias_of, taps["left"].alias_of, taps["output"].alias_of) == ("left", None, "out")
    assert "same" not in {tap.name for tap in plan(net, normal(N, 4), N).taps}


# Masks by meaning


def pooled(values, keep):
    return (values * keep[..., None]).sum(1) / keep.sum(1, keepdim=True)


@pytest.mark.parametrize(
    ("key", "made"),
    [
        ("attention_mask", lambda keep: keep.long()),
        ("src_key_padding_mask", lambda keep: ~keep),
        ("lengths", lambda keep: keep.sum(1)),
        ("pad_mask", lambda keep: (~keep).float() * -1e9),
    ],
)
@pytest.mark.parametrize("where", ["linear", "convolution"])
def test_rows_are_means_over_the_tokens_that_count(key, made, where):
    def run(net, x, **given):
        (mask,) = given.values()
        if mask.ndim == 1:
            shown = torch.arange(x.shape[1])[None] < mask[:, None]
        else:
            shown = mask > 0 if key == "attention_mask" else mask == 0
        h = net.a(x.transpose(1, 2)).transpose(1, 2) if where == "convolution" else net.a(x)
        return net.b((h * shown[..., None]).sum(1))

    torch.manual_seed(0)
    net = Net(run, a=nn.Conv1d(3, 4, 1) if where == "convolution" else nn.Linear(3, 4), b=nn.Linear(4, 2))
    x, keep = normal(N, 6, 3), lengths_mask(6)
    keep[0] = True
    h = net.a(x.transpose(1, 2)).transpose(1, 2) if where == "convolution" else net.a(x)
    rows = representations(net, {"x": x, key: made(keep)})["a"]
    assert torch.allclose(rows, pooled(h, keep), atol=1e-5)


@pytest.mark.parametrize("t", [6, 5])
def test_a_decoder_is_read_under_its_own_mask(t):
    torch.manual_seed(0)
    net = nn.Transformer(8, 2, 1, 1, 16, batch_first=True).eval()
    keep, decoded = lengths_mask(6), lengths_mask(t)
    keep[0], decoded[0] = True, True
    inputs = {"src": normal(N, 6, 8), "tgt": normal(N, t, 8), "src_key_padding_mask": ~keep,
              "tgt_key_padding_mask": ~decoded, "memory_key_padding_mask": ~keep}  # fmt: skip
    rows = representations(net, inputs)
    memory = net.encoder(inputs["src"], src_key_padding_mask=~keep)
    out = net.decoder(inputs["tgt"], memory, tgt_key_padding_mask=~decoded, memory_key_padding_mask=~keep)
    assert torch.allclose(rows["decoder.norm"], pooled(out, decoded), atol=1e-5)
    assert torch.allclose(rows["encoder.norm"], pooled(memory, keep), atol=1e-5)


def test_padding_that_no_mask_tells_is_told():
    net = Net(lambda net, ids: net.b(net.emb(ids).mean(1)), emb=nn.Embedding(9, 4, padding_idx=0), b=nn.Linear(4, 2))
    ids = torch.randint(1, 9, (N, 6), generator=SEED) * lengths_mask(6, least=2)
    assert any(note.startswith("Token 0 is padding for emb") for note in plan(net, ids, N).notes)
    assert not any("padding" in note for note in plan(net, ids.clamp(min=1), N).notes)


# Data that forward writes into


@dataclass(frozen=True)
class Batch:
    """Inputs as a dataclass."""

    x: torch.Tensor
    kind: str = "rows"


def first_part(inputs):
    return inputs.x if isinstance(inputs, Batch) else inputs["x"] if isinstance(inputs, dict) else inputs


WRITES = {
    "add": lambda x: x.add_(2), "relu": lambda x: x.relu_(), "first column": lambda x: x[:, 0].zero_(),
    "data": lambda x: x.data.add_(1), "view": lambda x: x.t().mul_(3), "numpy": lambda x: x.numpy().__iadd__(1),
}  # fmt: skip
FORMS = {
    "tensor": lambda x: x, "mapping": lambda x: {"x": x}, "dataclass": Batch,
    "numpy-backed": lambda x: torch.from_numpy(x.numpy().copy()),
}  # fmt: skip


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
def test_the_data_are_never_changed_and_the_rows_are_those_of_one_pass(write, form):
    def run(net, inputs=None, x=None):
        x = first_part(inputs) if x is None else x
        write(x)
        return net.a(x)

    net, x = Net(run, a=nn.Linear(3, 2)), normal(N, 3)
    inputs = form(x)
    before = first_part(inputs).clone()
    again = before.clone()
    write(again)
    rows = representations(net, inputs)["a"]
    assert torch.allclose(rows, net.a(again), atol=1e-6)
    assert torch.equal(first_part(inputs), before)


def test_nothing_is_copied_where_nothing_is_written():
    x = normal(N, 3)
    places = plan(nn.Sequential(nn.Linear(3, 2), nn.ReLU(inplace=True)), x, N)
    assert places.writes == ()
    assert places.protect(x) is x
    writing = plan(nn.Sequential(nn.ReLU(inplace=True), nn.Linear(3, 2)), x, N)
    assert writing.writes == ("input",)
    assert any(note.startswith("forward writes into its inputs: input.") for note in writing.notes)


# Inputs of any nesting


def test_a_packed_sequence_alone_and_beside_others():
    def run(net, packed, extra=None):
        _, last = net.rnn(packed)
        return net.head(last[-1] if extra is None else last[-1] + extra)

    torch.manual_seed(0)
    net = Net(run, rnn=nn.GRU(3, 4, batch_first=True), head=nn.Linear(4, 2))
    parts = [normal(1 + i % 5, 3) for i in range(N)]
    packed, extra = pack_sequence(parts, enforce_sorted=False), normal(N, 4)
    last = torch.stack([net.rnn(part[None])[0][0, -1] for part in parts])
    for inputs, added in ((packed, 0.0), ((packed, extra), extra), ({"packed": packed, "extra": extra}, extra)):
        rows = representations(net, inputs)
        assert torch.allclose(rows["rnn"], last, atol=1e-6)
        assert torch.allclose(rows["head"], net.head(last + added), atol=1e-6)
    padded = pad_packed_sequence(net.rnn(packed)[0], batch_first=True)[0]
    assert representations(net, packed, reduce="flatten")["rnn"].shape == (N, padded[0].numel())


class TakesParts(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Linear(3, 2)

    def forward(self, batch):
        x, z = self.parts(batch)
        return self.a(x) + self.a(z)

    def parts(self, batch):
        return batch["x"] if isinstance(batch, dict) and len(batch) == 1 else batch.values()


class TakesList(TakesParts):
    def parts(self, batch):
        return batch


class TakesDataclass(TakesParts):
    def parts(self, batch):
        return batch.x, batch.kind


class KeywordsOnly(TakesParts):
    def forward(self, *, x, z):
        return super().forward({"x": x, "z": z})


class Several(TakesParts):
    def forward(self, x, z):
        return super().forward({"x": x, "z": z})


@pytest.mark.parametrize(
    ("made", "wrap"),
    [
        (TakesList, lambda x, z: [x, z]), (TakesList, lambda x, z: (x, z)), (TakesParts, lambda x, z: {"x": x, "z": z}),
        (TakesParts, lambda x, z: {"x": [x, z]}), (TakesDataclass, Batch),
        (KeywordsOnly, lambda x, z: {"x": x, "z": z}),
        (Several, lambda x, z: {"x": x, "z": z}), (Several, lambda x, z: [x, z]),
    ],
    ids=["list", "tuple", "mapping whole", "nested", "dataclass", "keywords only", "several by name", "several"],
)  # fmt: skip
def test_inputs_reach_forward_in_the_form_it_takes(made, wrap):
    net, x, z = made(), normal(N, 3), normal(N, 3)
    rows = representations(net, wrap(x, z))
    assert torch.allclose(rows["a"], net.a(x), atol=1e-6)
    assert torch.allclose(rows["output"], net.a(x) + net.a(z), atol=1e-6)


def test_a_batch_of_transformers_is_an_input():
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    config = transformers.BertConfig(
        vocab_size=32, num_hidden_layers=1, num_attention_heads=2, hidden_size=8, intermediate_size=16
    )
    net, keep = transformers.BertModel(config).eval(), lengths_mask(6)
    ids = torch.randint(1, 32, (N, 6), generator=SEED)
    batch = transformers.BatchEncoding({"input_ids": ids, "attention_mask": keep.long()})
    rows = representations(net, batch, layers=["encoder.layer.0.output.LayerNorm"])
    expected = pooled(net(**batch).last_hidden_state, keep)
    assert torch.allclose(rows["encoder.layer.0.output.LayerNorm"], expected, atol=1e-5)


def test_there_is_no_empty_answer():
    net = Net(lambda net, x: net.a(x).sum(0), a=nn.Identity())
    with pytest.raises(ModelError, match=r"nothing that it puts out has one row for each of the 40 samples"):
        representations(Net(lambda net, x: net.a(x.sum(0, keepdim=True)), a=nn.Linear(3, 2)), normal(N, 3))
    assert representations(net, normal(N, 3))["a"].shape == (N, 3)


def test_a_refusal_says_first_what_the_model_says_and_no_width_where_none_is_at_fault():
    def picky(_net, x):
        raise ValueError("I take no rows on Sundays")

    with pytest.raises(ShapeError, match=r"It says: I take no rows on Sundays\. The inputs are \(40, 3\)\.$"):
        representations(Net(picky, a=nn.Linear(4, 2)), normal(N, 3))
    with pytest.raises(ShapeError, match=r"It says: mat1 and mat2 .*\. Expected 4 features .* got inputs \(40, 3\)"):
        representations(nn.Linear(4, 2), normal(N, 3))


# Rows that mix


def mixes(net, x=None):
    x = normal(N, 4) if x is None else x
    return [note for note in plan(net, x, N).notes if "Rows depend" in note or "same rows give other" in note]


def test_rows_that_depend_on_their_batch_are_told_with_the_first_layer():
    norm = nn.Sequential(nn.Linear(4, 5), nn.BatchNorm1d(5, track_running_stats=False), nn.Linear(5, 2))
    centred = Net(lambda net, x: net.b(F.relu(net.a(x)) - x.mean()), a=nn.Linear(4, 4), b=nn.Linear(4, 2))
    ranked = Net(lambda net, x: net.b(net.a(x).argsort(0).float()), a=nn.Linear(4, 4), b=nn.Linear(4, 2))
    for net, first in ((norm, "1"), (centred, "b"), (ranked, "b")):
        (note,) = mixes(net)
        assert f"on the other rows of their batch, first in {first} " in note


def test_rows_that_differ_from_pass_to_pass_are_told():
    noisy = Net(lambda net, x: net.b(net.a(x) + torch.randn(len(x), 4)), a=nn.Linear(4, 4), b=nn.Linear(4, 2))
    dropped = Net(lambda net, x: net.b(F.dropout(net.a(x))), a=nn.Linear(4, 4), b=nn.Linear(4, 2))

    class Keeps(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.before = nn.Linear(4, 4), torch.zeros(1, 4)

        def forward(self, x):
            self.before = self.before + self.a(x).mean(0, keepdim=True)
            return self.a(x) + self.before

    for net in (noisy, dropped, Keeps()):
        (note,) = mixes(net)
        assert "in another pass" in note


@pytest.mark.parametrize(
    "net",
    [
        nn.Sequential(nn.Linear(4, 5), nn.BatchNorm1d(5), nn.ReLU(inplace=True), nn.Dropout(), nn.Linear(5, 2)).eval(),
        nn.Sequential(nn.Linear(4, 6), nn.LayerNorm(6), nn.Softmax(1)).half(),
        nn.TransformerEncoderLayer(4, 2, 8, batch_first=True).bfloat16(),
    ],
    ids=["batch norm", "half", "bfloat16"],
)
def test_rounding_is_no_mixing(net):
    torch.manual_seed(0)
    x = normal(N, 6, 4) if isinstance(net, nn.TransformerEncoderLayer) else normal(N, 4)
    assert mixes(net, x.to(next(net.parameters()).dtype)) == []


def test_numpy_arrays_in_a_batch_stay_what_they_are():
    net = Net(lambda net, x, scale: net.a(x) * float(scale[0]), a=nn.Linear(3, 2))
    x = normal(N, 3)
    rows = representations(net, {"x": x, "scale": np.array([2.0])})
    assert torch.allclose(rows["output"], 2 * net.a(x), atol=1e-6)
