"""A hundred architectures: the rows and moments of every layer are those of a plain recomputation, or a refusal."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.architectures import composed, convolutional, sequences, transformers_models, wrapped
from tests.architectures.entry import Entry, N
from tests.architectures.open_entries import OPEN
from tests.architectures.reference import outputs, place_of, rows, tokens_of
from tests.turns import share
from torch import Tensor, nn
from torch.utils.data import DataLoader

import unbend
from unbend.errors import UnbendError

ENTRIES: list[Entry] = [
    *convolutional.ENTRIES, *sequences.ENTRIES, *composed.ENTRIES, *wrapped.ENTRIES, *transformers_models.ENTRIES,
]  # fmt: skip
TENTH = 10
CLOSE = {"rtol": 2e-4, "atol": 2e-5}
PLAIN = {"twin": False, "measures": ["moments"], "share": 0.0}


def cases():
    for entry in share(ENTRIES, TENTH):
        marks = [pytest.mark.xfail(strict=True, reason=OPEN[entry.name])] if entry.name in OPEN else []
        yield pytest.param(entry, id=entry.name, marks=marks)


def data_of(inputs):
    """The batch with labels: a pair where one says it, else a stream of one batch."""
    y = torch.arange(N) % 2
    is_plain = isinstance(inputs, (Tensor, dict)) or (
        type(inputs) is tuple and all(isinstance(part, Tensor) for part in inputs)
    )
    return (inputs, y) if is_plain else DataLoader([(inputs, y)], batch_size=None)


def made(entry: Entry) -> tuple[nn.Module, object]:
    """The network and its batch, the same each time."""
    torch.manual_seed(0)
    net = entry.build()
    for module in net.modules():
        module.training = False
    torch.manual_seed(1)
    return net, entry.inputs()


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("entry", list(cases()))
def test_rows_and_moments_are_those_of_a_plain_recomputation(entry):
    if entry.refusal is None:
        is_right(entry)
        return
    for ask in (
        unbend.representations,
        lambda net, inputs: unbend.study(net, data_of(inputs), **PLAIN),
    ):
        with pytest.raises(UnbendError, match=re.escape(entry.refusal)):
            ask(*made(entry))


def is_right(entry):
    net, inputs = made(entry)
    inner = entry.inner(net)
    expected = outputs(inner, inputs)
    paths = {path for path, _ in inner.named_modules()} - {""}

    def recomputed(name):
        path, function, call = place_of(name, paths)
        return tokens_of(entry, name, expected[path, function][call])

    found = unbend.representations(*made(entry))
    assert len(found) > 0
    for name, got in found.items():
        values, counts, last = recomputed(name)
        np.testing.assert_allclose(got.double(), rows(values, counts, last=last), **CLOSE, err_msg=name)

    net, inputs = made(entry)
    layers = unbend.study(net, data_of(inputs), **PLAIN).layers
    measured = {layer.name: layer.results["moments"] for layer in layers if layer.name != "input"}
    assert list(measured) == list(found)
    for name, moments in measured.items():
        values, counts, _ = recomputed(name)
        kept = values[counts].numpy()
        np.testing.assert_allclose(moments.mean, kept.mean(0), **CLOSE, err_msg=name)
        np.testing.assert_allclose(moments.std, kept.std(0), **CLOSE, err_msg=name)


def test_there_are_a_hundred_and_each_has_a_name_of_its_own():
    names = [entry.name for entry in ENTRIES]
    assert len(names) == len(set(names))
    assert set(OPEN) <= set(names)
    if transformers_models.ENTRIES:
        assert len(names) >= 100


def test_the_page_counts_and_names_them():
    if not transformers_models.ENTRIES:
        pytest.skip("needs transformers")
    page = (Path(__file__).parents[2] / "docs" / "architectures.md").read_text(encoding="utf-8")
    refused = [entry for entry in ENTRIES if entry.refusal is not None]
    assert f"builds {len(ENTRIES)} architectures" in page
    assert f"{len(ENTRIES) - len(refused)} give a study" in page
    assert f"{len(refused)} are refused" in page
    assert [entry.name for entry in ENTRIES if entry.name not in page] == []
