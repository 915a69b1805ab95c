"""Running sums give the states that `of` and `+` give."""

from dataclasses import fields

import numpy as np
import pytest
import torch

from unbend.numerics.activity import bend
from unbend.numerics.batch import batch, samples
from unbend.numerics.streaming.in_place import KINDS, Stream, is_streamable
from unbend.numerics.views import View


def batches(n_batches: int, d: int, *, shift: float, seed: int):
    generator = torch.Generator().manual_seed(seed)
    for i in range(n_batches):
        n = 5 + 13 * i
        yield torch.randn(n, d, generator=generator) + shift, torch.randint(0, 3, (n,), generator=generator)


@pytest.mark.parametrize("activation", [None, torch.relu, torch.nn.functional.relu6])
@pytest.mark.parametrize(("d", "shift"), [(1, 0.0), (64, 1000.0), (130, -0.5)])
def test_the_same_numbers_as_adding_states(activation, d, shift):
    edge = None if activation is None else bend(activation)
    stream, whole = Stream(d, 3, edge), None
    for x, y in batches(4, d, shift=shift, seed=d):
        h = x if activation is None else activation(x)
        of = samples(y, n_classes=3)
        assert is_streamable(h, View("features", "none", d), edge)
        assert stream.add(h, of)
        made = [kind.of(batch(h, of, bend=edge)) for kind in KINDS]
        whole = made if whole is None else [a + b for a, b in zip(whole, made, strict=True)]
    for kind, expected in zip(KINDS, whole, strict=True):
        state = stream.states()[kind.__name__]
        for field in fields(kind):
            ours, theirs = getattr(state, field.name), getattr(expected, field.name)
            np.testing.assert_allclose(ours, theirs, rtol=1e-8, atol=1e-9, err_msg=f"{kind.__name__}.{field.name}")


def test_values_that_are_not_finite_are_left_to_the_slow_path():
    stream = Stream(3, 2, None)
    of = samples(torch.tensor([0, 1]))
    assert not stream.add(torch.tensor([[1.0, float("nan"), 2.0], [0.0, 1.0, 2.0]]), of)
    assert not stream.add(torch.tensor([[1.0, float("inf"), 2.0], [0.0, 1.0, 2.0]]), of)
    assert stream.states() == {}


def test_an_activation_that_turns_negative_is_left_to_the_slow_path():
    stream = Stream(2, 1, bend(torch.relu))
    of = samples(torch.zeros(1, dtype=torch.int64))
    assert not stream.add(torch.tensor([[-1.0, 1.0]]), of)
    assert stream.states() == {}


def test_only_plain_float32_rows_are_streamed():
    x = torch.ones(2, 3)
    view = View("features", "none", 3)
    assert is_streamable(x, view, None)
    assert not is_streamable(x.double(), view, None)
    assert not is_streamable(x, View("tokens", "mean", 3), None)
    assert not is_streamable(x, view, bend(torch.tanh))
    assert not is_streamable(x, view, bend(torch.nn.functional.gelu))
