"""A study is made of the right rows in every pass, or refused in a sentence."""

import numpy as np
import pytest
import torch
from tests.capture.flow.cases import Net
from torch import nn
from torch.nn.utils.rnn import pack_sequence
from torch.utils.data import DataLoader, Dataset, IterableDataset, get_worker_info

from unbend.errors import DataError, ModelError
from unbend.load import Data
from unbend.numerics.moments import Moments
from unbend.study.fit import fit_inputs
from unbend.study.proofs import verify
from unbend.study.settings import axis_of, axis_words
from unbend.study.study import study

torch.set_num_threads(1)
N = 160


def rows(*shape, n=N):
    x = torch.randn(n, *shape, generator=torch.Generator().manual_seed(0))
    return x, (x.flatten(1)[:, 0] > 0).long()


def means(found, layer):
    return found[layer].result(Moments).mean


class Writes(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b, self.writing = nn.Linear(3, 8), nn.Linear(8, 2), True

    def forward(self, x):
        if self.writing:
            x += 2
        else:
            x = x + 2
        return self.b(self.a(x).clamp(min=0))


# Data that forward writes into


def test_no_pass_of_a_study_reaches_the_data_or_another_pass():
    torch.manual_seed(0)
    net, (x, y), held_out = Writes(), rows(3), rows(3, n=50)
    kept = x.clone(), held_out[0].clone()
    data = Data(x, y, Data(*held_out))
    settings = {"loss": nn.functional.cross_entropy, "proofs": True, "probes": True}
    found = study(net, data, **settings)
    assert torch.equal(x, kept[0])
    assert torch.equal(held_out[0], kept[1])
    assert all(verify(found, net, data).values())
    assert torch.equal(x, kept[0])
    net.writing = False
    plain = study(net, data, **settings)
    assert [layer.name for layer in found.layers] == [layer.name for layer in plain.layers]
    for mine, other in zip(found.layers, plain.layers, strict=True):
        assert np.array_equal(means(found, mine.name), means(plain, other.name))
        assert mine.baseline(type(next(iter(mine.twin.values())))) is not None
    assert np.array_equal(means(found, "input"), kept[0].double().mean(0).numpy())
    assert any(note.startswith("forward writes into its inputs") for note in found.about.notes)
    assert not any("writes" in note for note in plain.about.notes)


def test_numpy_arrays_behind_the_data_stay_what_they_are():
    x, y = rows(3)
    array = x.numpy().copy()
    study(Writes(), (torch.from_numpy(array), y), twin=False)
    assert np.array_equal(array, x.numpy())


def test_a_write_into_later_rows_only_is_refused_where_it_happens():
    def run(net, x):
        if x[0, 0] > 5:
            x.zero_()
        return net.a(x)

    x, y = rows(3)
    x[100:] += 20
    with pytest.raises(ModelError, match=r"forward wrote into its inputs for rows from \d+ on"):
        study(Net(run, a=nn.Linear(3, 2)), (x, y), twin=False, batch_size=10, share=0.0)


# Inputs


class Items(Dataset):
    def __init__(self, make):
        self.make = make

    def __len__(self):
        return N

    def __getitem__(self, i):
        return self.make(i), i % 2


def packed(batch):
    return pack_sequence([x for x, _ in batch], enforce_sorted=False), torch.tensor([y for _, y in batch])


def packed_beside(batch):
    sequences, y = packed(batch)
    return {"p": sequences, "extra": torch.ones(len(batch), 6), "labels": y}


@pytest.mark.parametrize("join", [packed, packed_beside])
def test_packed_sequences_alone_and_beside_others(join):
    def run(net, p, extra=0.0):
        return net.head(net.rnn(p)[1][-1] + extra)

    torch.manual_seed(0)
    net = Net(run, rnn=nn.GRU(4, 6, batch_first=True), head=nn.Linear(6, 2))
    data = Items(lambda i: torch.full((3 + i % 5, 4), i / N))
    found = study(net, DataLoader(data, batch_size=16, collate_fn=join), twin=False, share=0.0)
    last = torch.cat([net.rnn(data[i][0][None])[1][-1] for i in range(N)]).detach()
    assert [layer.name for layer in found.layers] == ["rnn", "head"]
    head = net.head(last + (0.0 if join is packed else 1.0)).detach()
    np.testing.assert_allclose(means(found, "head"), head.double().mean(0), atol=1e-6)


class OwnChannel(nn.Module):
    def __init__(self, conv, add):
        super().__init__()
        self.conv, self.head, self.add = conv, nn.Linear(4, 2), add

    def forward(self, x):
        return self.head(self.conv(self.add(x)).relu().flatten(2).mean(2))


@pytest.mark.parametrize(
    ("net", "shape"),
    [
        (OwnChannel(nn.Conv2d(1, 4, 3), lambda x: x[:, None]), (6, 6)),
        (OwnChannel(nn.Conv2d(3, 4, 3), lambda x: x.permute(0, 3, 1, 2)), (6, 7, 3)),
        (OwnChannel(nn.Conv1d(1, 4, 3), lambda x: x.unsqueeze(1)), (9,)),
        (OwnChannel(nn.Sequential(nn.Linear(8, 4), nn.Unflatten(1, (4, 1))), lambda x: x.flatten(1)), (2, 4)),
    ],
    ids=["channel axis", "channels first", "signal", "flattens"],
)
def test_data_are_tried_as_they_are_first(net, shape):
    x, y = rows(*shape)
    fit, words = fit_inputs(net, x)
    assert (fit(x).shape, words) == (x.shape, "")
    assert study(net, (x, y), twin=False).about.n_train > 0


# Masks, axes, feeders


def test_each_layer_of_a_study_is_read_under_its_own_mask():
    torch.manual_seed(0)
    net = nn.Transformer(8, 2, 1, 1, 16, batch_first=True).eval()
    net.encoder.use_nested_tensor = False
    model = Net(lambda net, **given: net.head(net.body(**given).mean(1)), body=net, head=nn.Linear(8, 2))
    x, y = rows(6, 8)
    keep, decoded = (torch.arange(6)[None] < torch.randint(1, 7, (N, 1)) for _ in range(2))
    keep[0], decoded[0] = True, True
    inputs = {"src": x, "tgt": x.flip(0), "src_key_padding_mask": ~keep, "tgt_key_padding_mask": ~decoded,
              "memory_key_padding_mask": ~keep}  # fmt: skip
    found = study(model, (inputs, y), twin=False, share=0.0, layers=["body.encoder.norm", "body.decoder.norm"])
    memory = net.encoder(x, src_key_padding_mask=~keep)
    out = net.decoder(inputs["tgt"], memory, tgt_key_padding_mask=~decoded, memory_key_padding_mask=~keep)
    for name, values, mask in (("body.encoder.norm", memory, keep), ("body.decoder.norm", out, decoded)):
        sample = found.sums.train[name]["SampleState"]
        got, _ = sample.table()
        expected = (values * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)
        assert torch.allclose(torch.from_numpy(got).double().sum(0), expected.double().sum(0), atol=1e-3), name


def test_an_axis_that_is_set_is_kept_with_the_study():
    net = Net(lambda net, x: net.act(x * 2).flatten(1), act=nn.ReLU())
    x, y = rows(5, 6)
    found = study(net, (x, y), twin=False, axis={"act": 1}, proofs=True)
    assert means(found, "act").shape == (5,)
    assert found.about.recipe["axis"] == "act=1"
    assert all(verify(found, net, (x, y)).values())
    assert axis_of(axis_words({"a.*": 1, "b": -2})) == {"a.*": 1, "b": -2}
    assert axis_of(axis_words(None)) is None
    silent = study(net, (x, y), twin=False)
    assert means(silent, "act").shape == (6,)
    assert any("axis= (--axis GLOB=N) sets it" in note for note in silent.about.notes)


def test_the_layers_of_a_study_know_what_feeds_them():
    torch.manual_seed(0)
    net = Net(
        lambda net, x: net.head((net.left(x) + net.right(x)).clamp(min=0)),
        left=nn.Linear(3, 4), right=nn.Linear(3, 4), head=nn.Linear(4, 2),
    )  # fmt: skip
    found = study(net, rows(3), twin=False, layers=["*"])
    assert {layer.name: layer.feeders for layer in found.layers} == {
        "input": (), "left": ("input",), "right": ("input",), "clamp": ("left", "right"), "head": ("clamp",),
        "output": ("head",),
    }  # fmt: skip
    assert [layer.alias_of for layer in found.layers] == [None] * 5 + ["head"]


# Rows that repeat


class Stream(IterableDataset):
    def __init__(self, order):
        self.order = order

    def __iter__(self):
        x, y = rows(3)
        worker = get_worker_info()
        index = range(N) if worker is None else self.order(worker.id, worker.num_workers)
        return ((x[i], y[i]) for i in index)


def same(_worker, _n):
    return range(N)


def shuffled(worker, _n):
    return np.random.default_rng(worker).permutation(N).tolist()


def split(worker, n):
    return range(worker, N, n)


@pytest.mark.parametrize("order", [same, shuffled])
def test_a_stream_that_several_workers_repeat_is_recognised_by_its_rows(order):
    net = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))
    with pytest.raises(DataError, match=r"each of the 2 workers gives the same rows"):
        study(net, DataLoader(Stream(order), batch_size=16, num_workers=2), twin=False, share=0.0)


def test_a_stream_whose_workers_share_the_rows_is_read_whole():
    net = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))
    found = study(net, DataLoader(Stream(split), batch_size=16, num_workers=2), twin=False, share=0.0)
    assert found.about.n_train == N
    np.testing.assert_allclose(means(found, "input"), rows(3)[0].double().mean(0), atol=1e-6)
