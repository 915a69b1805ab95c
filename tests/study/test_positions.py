"""Labels per position: rows are positions, drawn per item, split by item; each is that of a plain recomputation."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset, TensorDataset

import unbend
from unbend.errors import DataError
from unbend.load import Data
from unbend.numerics.readout import Readout
from unbend.numerics.sample import SampleState
from unbend.study.loss import LabelForms, loss_value
from unbend.study.positions import PER_ITEM, Positions, align
from unbend.study.split import FAR

torch.set_num_threads(1)
N = 60
IGNORED = -100


def generator():
    return torch.Generator().manual_seed(0)


def images():
    x = torch.randn(N, 2, 12, 12, generator=generator())
    y = (F.avg_pool2d(x[:, :1], 3, 1, 1)[:, 0] > 0).long() + (x[:, 1] > 1).long()
    y[:, :2] = IGNORED
    return x, y


def series():
    x = torch.randn(N, 20, 5, generator=generator())
    return x, (x.cumsum(1)[..., 0] > 0).long()


class UNet(nn.Module):
    def __init__(self, k=3):
        super().__init__()
        self.a, self.down = nn.Conv2d(2, 6, 3, padding=1), nn.Conv2d(6, 8, 3, 2, 1)
        self.up, self.head = nn.ConvTranspose2d(8, 6, 2, 2), nn.Conv2d(12, k, 1)
        self.pool = nn.AdaptiveAvgPool2d(1)

    def forward(self, x):
        a = self.a(x).relu()
        d = self.down(a).relu()
        d = d * self.pool(d).sigmoid()
        return self.head(torch.cat([a, self.up(d)], 1))


class Squeezed(UNet):
    """Drops the axis of its one channel."""

    def forward(self, x):
        return super().forward(x).squeeze(1)


class Averaged(UNet):
    """Puts out the mean over its channels."""

    def forward(self, x):
        return super().forward(x).mean(1)


class Tagger(nn.Module):
    def __init__(self, k=2):
        super().__init__()
        self.rnn, self.head = nn.GRU(5, 8, batch_first=True), nn.Linear(8, k)

    def forward(self, x):
        return self.head(self.rnn(x)[0])


class Steps(nn.Module):
    """[n, c, t] inside, as a TCN."""

    def __init__(self):
        super().__init__()
        self.conv, self.head = nn.Conv1d(5, 8, 3, padding=1), nn.Conv1d(8, 2, 1)

    def forward(self, x):
        return self.head(self.conv(x.mT).relu())


class Patches(nn.Module):
    """Tokens of 3x3 patches behind a class token, up to a map again."""

    def __init__(self):
        super().__init__()
        self.embed, self.token = nn.Conv2d(2, 8, 3, 3), nn.Parameter(torch.ones(1, 1, 8))
        self.mix, self.head = nn.Linear(8, 8), nn.Conv2d(8, 3, 1)

    def forward(self, x):
        e = self.embed(x)
        tokens = torch.cat([self.token.expand(len(x), -1, -1), e.flatten(2).mT], 1)
        tokens = self.mix(tokens).relu()
        maps = tokens[:, 1:].mT.unflatten(2, e.shape[2:])
        return self.head(F.interpolate(maps, scale_factor=3))


def seeded(kind, *args):
    torch.manual_seed(0)
    return kind(*args).eval()


def outputs(net, x):
    found = {}
    hooks = [
        module.register_forward_hook(
            lambda _m, _i, out, path=path: found.update({path: out[0] if isinstance(out, tuple) else out})
        )
        for path, module in net.named_modules()
        if path
    ]
    with torch.no_grad():
        net(x)
    for hook in hooks:
        hook.remove()
    return found


def decoded(ids, n_positions):
    """Items and places of row numbers."""
    stride = max(1 << max(n_positions - 1, 1).bit_length(), 1 << 16)
    is_far = ids >= FAR
    rest = np.where(is_far, ids - FAR, ids)
    return rest // stride, rest % stride


def at(values, item, place, grid, channel):
    """The row at a place of the labels, by a loop."""
    values = values.movedim(channel, -1).numpy()
    rows = []
    for i, p in zip(item, place, strict=True):
        index = np.unravel_index(p, grid)
        here = tuple(int((a + 0.5) * s / g) for a, s, g in zip(index, values.shape[1:-1], grid, strict=True))
        rows.append(values[(i, *here)])
    return np.array(rows)


CASES = {
    "pixels of a U-Net": (UNet, images, 1, ("a", "down", "up", "head", "pool")),
    "steps of a GRU": (Tagger, series, -1, ("rnn", "head")),
    "steps of a TCN": (Steps, series, 1, ("conv", "head")),
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("part", ["train", "held_out"])
def test_rows_are_the_layers_values_at_the_positions_of_the_labels(case, part):
    kind, data, channel, names = CASES[case]
    (x, y), net = data(), seeded(kind)
    found = unbend.study(net, (x, y), twin=False, measures=["readout"])
    expected = outputs(net, x)
    grid = tuple(y.shape[1:])
    for name in names:
        if name not in {layer.name for layer in found.layers}:
            continue
        sample = found.sums.state(name, SampleState, part)
        item, place = decoded(sample.ids, int(np.prod(grid)))
        rows, targets = sample.table()
        np.testing.assert_allclose(rows, at(expected[name], item, place, grid, channel), rtol=1e-5, atol=1e-6)
        labels = y.reshape(N, -1)[item, place]
        assert (labels != IGNORED).all()
        assert np.array_equal(targets.argmax(1), labels)


def test_tokens_of_patches_lie_where_their_patch_is():
    (x, y), net = images(), seeded(Patches)
    found = unbend.study(net, (x, y), twin=False, measures=["readout"])
    tokens = outputs(net, x)["mix"][:, 1:].mT.unflatten(2, (4, 4))
    sample = found.sums.state("mix", SampleState)
    item, place = decoded(sample.ids, 144)
    np.testing.assert_allclose(sample.table()[0], at(tokens, item, place, (12, 12), 1), rtol=1e-5, atol=1e-6)


def test_items_are_split_whole_and_at_most_some_positions_of_each_are_drawn():
    x, y = images()
    found = unbend.study(seeded(UNet), (x, y), twin=False, rows=100_000)
    items = []
    for part in ("train", "held_out"):
        sample = found.sums.state("a", SampleState, part)
        item, place = decoded(sample.ids, 144)
        assert len({*zip(item.tolist(), place.tolist(), strict=True)}) == len(item)
        assert np.bincount(item).max() == PER_ITEM
        items.append(set(item.tolist()))
    assert not items[0] & items[1]
    assert items[0] | items[1] == set(range(N))
    assert found.about.n_train + found.about.n_held_out == N * PER_ITEM


def test_positions_without_a_label_are_dropped_and_counted():
    x, y = images()
    y[:, 2:, :3] = IGNORED
    n = int((y == IGNORED).sum())
    found = unbend.study(seeded(UNet), (x, y), twin=False, measures=["readout"])
    assert f"{n:,} of {y.numel():,} positions carry -100 and are left out." in found.about.notes


def test_the_batch_size_and_the_container_do_not_matter():
    x, y = images()
    rows = TensorDataset(x, y)
    forms = (((x, y), 512), ((x, y), 7), (rows, 16), (Data(x, y), 60), (DataLoader(rows, 9), 1))
    studies = [
        unbend.study(seeded(UNet), data, twin=False, measures=["readout"], batch_size=size) for data, size in forms
    ]
    for layer in studies[0].layers:
        scores = [s[layer.name].result(Readout).held_out for s in studies]
        assert scores == pytest.approx([scores[0]] * len(scores), abs=1e-12)


@pytest.mark.parametrize("how", ["one channel", "one-hot", "column", "floats", "booleans", "squeezed"])
def test_however_two_classes_are_written_they_are_the_same(how):
    x, _ = images()
    y = (x[:, 0] > 0).long()
    written, k = {
        "one channel": (y[:, None].float(), 1), "one-hot": (F.one_hot(y, 2).movedim(-1, 1).float(), 2),
        "column": (y[..., None], 1), "floats": (y.float(), 1), "booleans": (y.bool(), 2), "squeezed": (y.float(), 1),
    }[how]  # fmt: skip
    net = seeded(Squeezed if how == "squeezed" else UNet, k)
    found = unbend.study(net, (x, written), twin=False, measures=["readout"])
    plain = unbend.study(seeded(UNet, 2), (x, y), twin=False, measures=["readout"])
    assert found.about.task == "classification"
    assert found["a"].result(Readout).held_out == plain["a"].result(Readout).held_out


def test_targets_per_position_are_a_regression():
    x, _ = images()
    found = unbend.study(seeded(UNet, 2), (x, x.flip(1)), twin=False, loss="mse")
    r = found["input"].result(Readout)
    assert found.about.task == "regression"
    assert r.weight.shape == (2, 2)
    np.testing.assert_allclose(r.weight, [[0, 1], [1, 0]], atol=1e-2)
    assert found.across["gradients"].norm.min() > 0


class Items(Dataset):
    """Sentences of unequal length, as a tokenizer and a collate function give them."""

    def __len__(self):
        return N

    def __getitem__(self, i):
        g = torch.Generator().manual_seed(i)
        ids = torch.randint(3, 30, (int(torch.randint(4, 12, (1,), generator=g)),), generator=g)
        return {"input_ids": ids, "labels": (ids > 15).long()}


def padded(items, label=IGNORED):
    t = max(len(item["input_ids"]) for item in items)

    def pad(name, value):
        return torch.stack([F.pad(item[name], (0, t - len(item[name])), value=value) for item in items])

    return {
        "input_ids": pad("input_ids", 0),
        "labels": pad("labels", label),
        "attention_mask": (pad("input_ids", 0) > 0).long(),
    }


def bert():
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    config = transformers.BertConfig(
        vocab_size=30, hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32, num_labels=2
    )
    return transformers.BertForTokenClassification(config).eval()


@pytest.mark.parametrize("label", [IGNORED, 0])
def test_tokens_of_unequal_sentences_are_rows_and_padding_is_none(label):
    """Padded labels carry -100, or stand where the mask of the output says that there is no token."""
    loader = DataLoader(Items(), batch_size=8, collate_fn=lambda items: padded(items, label))
    net = bert()
    found = unbend.study(net, loader, twin=False, measures=["readout"], layers=["bert.encoder.layer.0"])
    lengths = [len(Items()[i]["input_ids"]) for i in range(N)]
    samples = [found.sums.state("bert.encoder.layer.0", SampleState, part) for part in ("train", "held_out")]
    assert sum(len(sample.ids) for sample in samples) == sum(lengths)
    item, place = decoded(samples[0].ids, 1)
    assert all(p < lengths[i] for i, p in zip(item, place, strict=True))
    with torch.no_grad():
        alone = [
            net.bert(Items()[i]["input_ids"][None], output_hidden_states=True).hidden_states[1][0]
            for i in item[:40].tolist()
        ]
    rows = torch.stack([h[p] for h, p in zip(alone, place[:40], strict=True)])
    np.testing.assert_allclose(samples[0].table()[0][:40], rows, rtol=1e-4, atol=1e-5)


def test_probes_read_positions_and_proofs_are_refused():
    x, y = series()
    found = unbend.study(seeded(Tagger), (x, y), twin=False, measures=["readout"], probes=True)
    assert found.across["probes"].layers["rnn"].accuracy > 0.6
    with pytest.raises(DataError, match="proofs: rows are positions"):
        unbend.study(seeded(Tagger), (x, y), twin=False, proofs=True)


def test_shards_of_items_merge_to_the_whole():
    (x, y), net = images(), seeded(UNet)
    held_out = (x[50:], y[50:])
    whole, *shards = (
        unbend.study(net, (x[a:b], y[a:b]), held_out=held_out, twin=False, exact=True)
        for a, b in ((0, 50), (0, 20), (20, 50))
    )
    merged = unbend.merge(*shards)
    assert merged.about.n_held_out == whole.about.n_held_out == 10 * PER_ITEM
    assert merged["a"].results["moments"].mean.shape == (6,)
    a, b = (s["a"].result(Readout) for s in (merged, whole))
    assert (a.n_fit, a.n_held_out) == (b.n_fit, b.n_held_out)
    assert merged.about.n_train == whole.about.n_train


def test_an_output_without_a_channel_axis_is_read_at_every_position():
    (x, _), net = images(), seeded(Averaged)
    y = (x[:, 0] > 0).float()
    found = unbend.study(net, (x, y), twin=False, loss="bce")
    sample = found.sums.state("output", SampleState)
    item, place = decoded(sample.ids, 144)
    with torch.no_grad():
        expected = net(x).reshape(N, -1)[item, place]
    np.testing.assert_allclose(sample.table()[0][:, 0], expected, rtol=1e-5, atol=1e-6)
    assert found["output"].view.width == 1
    assert found.across["gradients"].norm.min() > 0


def test_items_without_any_label_are_refused_in_a_sentence():
    x, y = images()
    with pytest.raises(DataError, match="y: no position of the train items has a label"):
        unbend.study(seeded(UNet), TensorDataset(x, torch.full_like(y, IGNORED)), twin=False, n_classes=3)


def test_a_sentence_says_what_no_reading_fits():
    x, y = images()
    with pytest.raises(DataError, match="got 255"):
        unbend.study(seeded(UNet), TensorDataset(x, y.clamp(min=0) + 253 * (y == 2)), twin=False)
    with pytest.raises(DataError, match="not one-hot"):
        unbend.study(seeded(UNet, 2), (x, (x > 0).float()), twin=False)
    with pytest.raises(DataError, match=r"y: expected one label per row, got shape \[60, 2\]. If they are"):
        unbend.study(nn.Linear(4, 2), Data(torch.randn(N, 4), torch.arange(2 * N).reshape(N, 2) % 3), twin=False)
    with pytest.raises(DataError, match="per position"):
        unbend.study(nn.Sequential(nn.Flatten(), nn.Linear(288, 2)), (x, y), twin=False)


@pytest.mark.parametrize("axis", [1, 2])
def test_a_loss_gets_scores_and_labels_of_positions_in_its_form(axis):
    y = torch.tensor([[0, 1, IGNORED], [2, 1, 0]])
    scores = torch.randn(2, 3, 4, generator=generator())
    wanted = F.cross_entropy(scores.mT, y)
    output = scores.mT if axis == 1 else scores
    assert loss_value("cross_entropy", output, LabelForms(y, y, 4)) == pytest.approx(float(wanted))
    binary = LabelForms(y.clamp(max=1), y.clamp(max=1), 2)
    kept = y != IGNORED
    one = scores[..., 0]
    for form in (one, one[..., None], one[:, None]):
        value = loss_value(nn.BCEWithLogitsLoss(), form, binary)
        assert value == pytest.approx(
            float(F.binary_cross_entropy_with_logits(one[kept], y.clamp(max=1)[kept].float()))
        )


@pytest.mark.parametrize(
    ("grid", "sizes", "covers"),
    [
        ((6,), (3,), [0, 0, 1, 1, 2, 2]),
        ((2,), (6,), [1, 4]),
        ((2, 2), (1, 1), [0, 0, 0, 0]),
        ((3,), (4, 4), None),
        ((4, 6), (5,), None),
        ((4, 6), (7,), [1, 1, 2, 2, 3, 3] * 2 + [4, 4, 5, 5, 6, 6] * 2),
    ],
)
def test_positions_of_other_resolutions_are_those_that_cover(grid, sizes, covers):
    found = align(grid, sizes, np.arange(int(np.prod(grid))))
    assert (found is None) if covers is None else found.tolist() == covers


def test_positions_are_drawn_evenly_and_alike_in_every_batch():
    y = torch.zeros(3, 100, 100, dtype=torch.int64)
    draw = Positions.of((100, 100))
    whole, one = draw.draw(y, np.arange(3)), draw.draw(y[1:2], np.array([1]))
    assert np.array_equal(whole.ids[whole.item == 1], one.ids)
    places = one.place.numpy()
    assert np.ptp(np.diff(places)) <= 1
    assert len(places) == PER_ITEM
    with pytest.raises(DataError, match="expected labels at"):
        draw.draw(torch.zeros(1, 400, 400, dtype=torch.int64), np.arange(1))
