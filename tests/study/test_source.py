"""A row keeps its number and its part, whatever form the data come in."""

from itertools import chain

import numpy as np
import pytest
import torch
from torch.utils.data import (
    DataLoader,
    Dataset,
    DistributedSampler,
    IterableDataset,
    Subset,
    SubsetRandomSampler,
    TensorDataset,
    WeightedRandomSampler,
)

from unbend.load import Data
from unbend.study.ranks import Share
from unbend.study.source import Holding, source

N = 103
X = torch.arange(N, dtype=torch.float32)[:, None].repeat(1, 3)  # a row shows its number
Y = torch.arange(N) % 2


class Stream(IterableDataset):
    def __init__(self):
        self.passes = 0

    def __iter__(self):
        self.passes += 1
        return zip(X, Y, strict=True)


class Items(Dataset):
    def __init__(self, item):
        self.item = item

    def __len__(self):
        return N

    def __getitem__(self, i):
        return self.item(i)


def collated(items):
    return {"x": torch.stack([x for x, _ in items]), "labels": [int(y) for _, y in items]}


ROWS = TensorDataset(X, Y)
FORMS = {
    "arrays": (X, Y),
    "numpy": (X.numpy(), Y.numpy()),
    "lists": [X.tolist(), Y.tolist()],
    "mapping": {"x": X, "labels": Y},
    "data": Data(X, Y),
    "dataset": ROWS,
    "loader": DataLoader(ROWS, batch_size=10),
    "shuffled": DataLoader(ROWS, batch_size=10, shuffle=True, drop_last=True),
    "workers": DataLoader(ROWS, batch_size=25, num_workers=1),
    "collated": DataLoader(ROWS, batch_size=10, collate_fn=collated),
    "mappings": Items(lambda i: {"x": X[i], "label": Y[i]}),
    "distributed": DataLoader(ROWS, batch_size=10, sampler=DistributedSampler(ROWS, num_replicas=2, rank=0)),
    "batch sampler": DataLoader(ROWS, batch_sampler=[[5, 4, 3], [*range(3)], [*range(6, N)]]),
    "ready batches": DataLoader(Items(lambda i: (X[i : i + 1], Y[i : i + 1])), batch_size=None, shuffle=True),
    "stream": DataLoader(Stream(), batch_size=9),
    "plain stream": Stream(),
}


def seen(data, part, **how):
    """Row numbers, and what the rows themselves show."""
    ids, shown = [], []
    for b in data.batches(part, **how):
        x = b.inputs["x"] if isinstance(b.inputs, dict) else b.inputs
        assert len(x) == len(b.y) == len(b.ids)
        assert torch.equal(b.y.long(), x[:, 0].long() % 2)
        ids += b.ids.tolist()
        shown += x[:, 0].long().tolist()
    return ids, shown


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("batch_size", [1, 7, 512])
def test_the_same_rows_have_the_same_numbers(form, batch_size):
    expected = source((X, Y))
    found = source(FORMS[form], batch_size=batch_size)
    for part in ("train", "held_out"):
        ids, shown = seen(found, part)
        assert ids == shown
        assert ids == seen(expected, part)[0]
        assert ids == seen(found, part)[0]
    assert len(seen(found, "train")[0]) + len(seen(found, "held_out")[0]) == N
    assert found.n["train"] in {None, len(seen(found, "train")[0])}


@pytest.mark.parametrize("form", ["arrays", "shuffled", "stream", "batch sampler", "plain stream"])
def test_shares_are_the_whole(form):
    found = source(FORMS[form], batch_size=8)
    for part, most in (("train", None), ("held_out", None), ("train", 20), ("train", 10_000)):
        whole = seen(found, part, most=most)[0]
        shares = [seen(found, part, most=most, share=Share(rank, 3))[0] for rank in range(3)]
        assert sorted(chain.from_iterable(shares)) == whole
        assert max(map(len, shares)) - min(map(len, shares)) <= 1
        assert len(whole) == min(most or N, len(seen(found, part)[0]))


@pytest.mark.parametrize("sampler", ["subset", "weighted", "Subset"])
def test_a_sampler_that_picks_rows_is_heard(sampler):
    some = [90, 3, 50, 4, 77, 12, 9, 31]
    weights = torch.zeros(N)
    weights[some] = 1.0
    data = {
        "subset": DataLoader(ROWS, batch_size=3, sampler=SubsetRandomSampler(some)),
        "weighted": DataLoader(ROWS, batch_size=3, sampler=WeightedRandomSampler(weights, 400)),
        "Subset": DataLoader(Subset(ROWS, sorted(some)), batch_size=3),
    }[sampler]
    before = torch.get_rng_state()
    found = source(data)
    shown = seen(found, "train")[1] + seen(found, "held_out")[1]
    assert torch.equal(torch.get_rng_state(), before)
    assert sorted(shown) == sorted(some)


def test_a_test_part_is_held_out_under_numbers_of_its_own():
    test = Data(X[:9], Y[:9], None, ())
    for found in (source(Data(X, Y, test)), source((X, Y), held_out=(X[:9], Y[:9]))):
        assert found.n == {"train": N, "held_out": 9}
        assert [i for b in found.batches("held_out") for i in b.ids] == list(range(1 << 40, (1 << 40) + 9))
    streamed = source(Stream(), held_out=(X[:9], Y[:9]))
    numbers = [{int(i) for b in streamed.batches(part) for i in b.ids} for part in ("train", "held_out")]
    assert not numbers[0] & numbers[1]


def test_several_inputs_stay_several():
    found = source(TensorDataset(X, X + 1, Y))
    first = next(found.batches("train"))
    assert isinstance(first.inputs, tuple)
    assert torch.equal(first.inputs[0] + 1, first.inputs[1])


def test_no_share_holds_nothing_out():
    found = source((X, Y), holding=Holding(share=0.0))
    assert found.n == {"train": N, "held_out": 0}
    assert not list(found.batches("held_out"))
    assert found.split == "No row is held out."


def test_two_rows_are_one_in_each_part():
    assert source((X[:2], Y[:2])).n == {"train": 1, "held_out": 1}


@pytest.mark.parametrize("form", ["arrays", "dataset", "loader", "shuffled"])
def test_labels_at_hand_are_counted_without_reading_samples(form):
    (found,) = source(FORMS[form]).labels
    assert torch.equal(found, Y)


def test_labels_that_a_data_set_changes_on_the_way_are_not_trusted():
    class Shifted(Items):
        targets = Y.tolist()

    assert source(Shifted(lambda i: (X[i], int(Y[i]) + 1))).labels is None
    assert torch.equal(source(Shifted(lambda i: (X[i], int(Y[i])))).labels[0], Y)


def test_reading_leaves_the_random_generators_alone():
    before = torch.get_rng_state()
    for form in ("dataset", "shuffled", "batch sampler"):
        list(source(FORMS[form]).batches("train"))
    assert torch.equal(torch.get_rng_state(), before)


def test_the_split_follows_the_hash():
    held = [i for b in source((X.repeat(50, 1), Y.repeat(50))).batches("held_out") for i in b.ids]
    assert abs(len(held) / (50 * N) - 0.2) < 0.02
    assert len(np.unique(np.diff(held))) > 5
