"""Sums in place give the States that `of` and `+` give."""

from dataclasses import fields

import numpy as np
import pytest
import torch

from unbend.numerics.batch import Saturation, batch, samples
from unbend.numerics.sample import SampleState
from unbend.numerics.saturation import saturation
from unbend.numerics.streaming import in_place
from unbend.numerics.streaming.accumulator import add_states
from unbend.numerics.streaming.bottom_k import BottomK
from unbend.numerics.streaming.choose import Chooser, Selection
from unbend.numerics.streaming.in_place import KINDS, InPlaceSums
from unbend.numerics.streaming.rows import SampleRows


def batches(n_batches: int, d: int, *, shift: float, seed: int):
    generator = torch.Generator().manual_seed(seed)
    for i in range(n_batches):
        n = 5 + 13 * i
        yield torch.randn(n, d, generator=generator) + shift, torch.randint(0, 3, (n,), generator=generator)


@pytest.fixture
def n_in_place(monkeypatch):
    """How many batches were added in place."""
    count = [0]
    add = in_place._PlainSums.add

    def counted(*given):
        is_added = add(*given)
        count[0] += is_added
        return is_added

    monkeypatch.setattr(in_place._PlainSums, "add", counted)
    return lambda: count[0]


def assert_same(sums, expected):
    found = add_states(sums.states())
    assert list(found) == [type(state).__name__ for state in expected]
    for state in expected:
        for field in fields(state):
            name = f"{type(state).__name__}.{field.name}"
            ours, theirs = getattr(found[type(state).__name__], field.name), getattr(state, field.name)
            np.testing.assert_allclose(ours, theirs, rtol=1e-8, atol=1e-9, err_msg=name)


def added(given):
    whole = None
    for h, of, edges in given:
        made = [kind.of(batch(h, of, saturation=edges)) for kind in KINDS]
        whole = made if whole is None else [a + b for a, b in zip(whole, made, strict=True)]
    return whole


@pytest.mark.parametrize("activation", [None, torch.relu, torch.nn.functional.relu6])
@pytest.mark.parametrize(("d", "shift"), [(1, 0.0), (64, 1000.0), (130, -0.5)])
def test_the_same_numbers_as_adding_states(activation, d, shift, n_in_place):
    edges = None if activation is None else saturation(activation)
    sums, given = InPlaceSums(KINDS), []
    for x, y in batches(4, d, shift=shift, seed=d):
        given.append((x if activation is None else activation(x), samples(y, n_classes=3), edges))
        sums.add(batch(given[-1][0], given[-1][1], saturation=edges))
    assert n_in_place() == 4
    assert_same(sums, added(given))


class Tagged(torch.Tensor):
    """A tensor whose operations its class may change."""


def other_batches():
    x, relu = torch.rand(4, 3), saturation(torch.relu)
    for name, h, edges in (
        ("nan", torch.tensor([[1.0, float("nan"), 2.0], [0.0, 1.0, 2.0]]), relu),
        ("infinite", torch.tensor([[1.0, float("inf"), 2.0], [0.0, 1.0, 2.0]]), relu),
        ("an activation that turns negative", torch.tensor([[-1.0, 1.0, 0.0]]), relu),
        ("double", x.double(), relu),
        ("half", x.half(), relu),
        ("not contiguous", torch.rand(3, 4).T, relu),
        ("a subclass of Tensor", x.as_subclass(Tagged), relu),
        ("no rows", x[:0], relu),
        ("another activation", x, saturation(torch.tanh)),
        ("one judged by its input", x, Saturation(-1.0, np.inf, x - 0.5)),
        ("no activation", x, None),
    ):
        yield pytest.param(h, edges, id=name)


@pytest.mark.parametrize(("h", "edges"), list(other_batches()))
@pytest.mark.parametrize("is_first", [True, False])
def test_a_batch_that_is_not_plain_is_added_whole_as_states(h, edges, is_first, n_in_place):
    relu = saturation(torch.relu)
    plain = torch.relu(torch.randn(50, 3)), samples(torch.arange(50) % 2, n_classes=2), relu
    other = h, samples(torch.arange(len(h)) % 2, n_classes=2), edges
    given = [other, plain] if is_first else [plain, other]
    sums = InPlaceSums(KINDS)
    for values, of, how in given:
        sums.add(batch(values, of, saturation=how))
    assert n_in_place() == 1
    assert_same(sums, added(given))


def test_a_rectifier_with_another_upper_edge_is_added_as_states(n_in_place):
    (h, y), (other, other_y) = batches(2, 4, shift=4.0, seed=0)
    given = [
        (values.clamp(0, high), samples(labels, n_classes=3), Saturation(0.0, high))
        for values, labels, high in ((h, y, np.inf), (other, other_y, 6.0))
    ]
    sums = InPlaceSums(KINDS)
    for values, of, edges in given:
        sums.add(batch(values, of, saturation=edges))
    assert n_in_place() == 1
    assert_same(sums, added(given))


def test_rows_have_room_for_compiled_code_where_they_are_float32_of_one_width():
    rows = SampleRows(BottomK(8, None))
    assert rows.room(3)[0].shape == (rows.room(3)[1].size, 3)
    assert rows.room(4) is None
    choose = Chooser(Selection(), (SampleState,), 2)
    doubles = SampleRows(choose.bottom_k)
    doubles.add(batch(torch.ones(2, 3, dtype=torch.float64), choose(torch.tensor([0, 1]), np.arange(2))))
    assert doubles.room(3) is None


def test_only_the_kinds_asked_for_come_out():
    sums = InPlaceSums(KINDS[:1])
    sums.add(batch(torch.ones(2, 3), samples(torch.tensor([0, 1]))))
    assert [type(state) for state in sums.states()] == [KINDS[0]]


def test_nothing_added_is_no_state():
    assert list(InPlaceSums(KINDS).states()) == []
