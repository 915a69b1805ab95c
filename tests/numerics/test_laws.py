"""Every State is a commutative monoid, whatever the layout, the type, the cut and the order of the rows."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.numerics.laws import STATES, Law, World, assert_same, results, settled, snapshot, total

from unbend.numerics.batch import batch, samples
from unbend.numerics.saturation import saturation
from unbend.numerics.second import BLOCK
from unbend.numerics.view import View

SHAPES = [
    (View("features", "none", 5), (5,)),
    (View("features", "none", 70), (70,)),
    (View("features", "none", 70, 8), (70,)),
    (View("maps", "mean", 4), (4, 3, 2)),
    (View("maps", "flatten", 3), (3, 5)),
    (View("maps", "max", 2), (2, 300)),
    (View("maps", "flatten", 9, 16), (9, 20, 20)),
    (View("tokens", "mean", 6), (4, 6)),
    (View("tokens", "cls", 6), (4, 6)),
    (View("tokens", "last", 65), (3, 65)),
    (View("tokens", "flatten", 3), (2, 2, 3)),
    (View("tokens", "max", 3), (4, 3)),
]
TYPES = [torch.float32, torch.float64, torch.float16, torch.bfloat16, torch.int64, torch.uint8]


@st.composite
def worlds(draw, *, holes=False) -> World:
    view, shape = draw(st.sampled_from(SHAPES))
    dtype = draw(st.sampled_from(TYPES))
    n = draw(st.integers(0, 40))
    k = draw(st.sampled_from([0, 2, 3, 7]))
    g = torch.Generator().manual_seed(draw(st.integers(0, 10_000)))
    shift = draw(st.sampled_from([0.0, 3.0, 100.0]))
    values = (torch.randn(n, *shape, generator=g, dtype=torch.float64) * 2 + shift).relu()
    if dtype == torch.uint8:
        values = values.clamp(max=255)
    values = values.to(dtype)
    if holes and dtype.is_floating_point:
        hole = torch.rand(values.shape, generator=g) < 0.05
        values = torch.where(hole, draw(st.sampled_from([torch.nan, torch.inf, -torch.inf])), values)
    mask = None
    if view.layout == "tokens" and draw(st.booleans()):
        mask = torch.rand(n, shape[:-1].numel() if isinstance(shape, torch.Size) else int(np.prod(shape[:-1])),
                          generator=g) < 0.7  # fmt: skip
    y = torch.randint(k, (n,), generator=g) if k else torch.randn(n, 2, generator=g)
    return World(values, y, view, k, mask, draw(st.booleans()))


@st.composite
def splits(draw, *, holes=False):
    """A world, and two ways to cut and order its rows."""
    world = draw(worlds(holes=holes))
    n = len(world.values)
    g = np.random.default_rng(draw(st.integers(0, 10_000)))
    cuts = draw(st.lists(st.integers(0, n), max_size=4))
    return world, [np.arange(n)], np.split(g.permutation(n), sorted(cuts))


each = pytest.mark.parametrize("law", STATES, ids=str)


@each
@given(data=splits())
@settings(deadline=None, max_examples=30)
def test_the_sum_of_parts_in_any_order_is_the_whole(law: Law, data):
    world, whole, cut = data
    a, b = (settled(total(law, world, batches)) for batches in (whole, cut))
    assert_same(a, b, where=str(law))
    assert_same(results(a), results(b), rtol=1e-6, where=str(law))


@each
@given(data=splits(holes=True))
@settings(deadline=None, max_examples=20)
def test_values_that_are_not_finite_change_no_law(law: Law, data):
    world, whole, cut = data
    a, b = (settled(total(law, world, batches)) for batches in (whole, cut))
    assert_same(a, b, where=str(law))
    results(a)


@each
@given(data=splits())
@settings(deadline=None, max_examples=15)
def test_addition_is_associative_and_commutative_and_leaves_its_operands(law: Law, data):
    world, _, cut = data
    a, b, c = (law.of(world.part(rows)) for rows in (cut * 3)[:3])
    before = [snapshot(s) for s in (a, b, c)]
    left, right = settled((a + b) + c), settled(a + (b + c))
    assert_same(left, right)
    assert_same(settled(a + b), settled(b + a))
    for state, copy in zip((a, b, c), before, strict=True):
        assert_same(state, copy, rtol=0)


@each
@given(world=worlds())
@settings(deadline=None, max_examples=15)
def test_empty_is_the_identity_and_an_empty_batch_adds_nothing(law: Law, world):
    some = law.of(world.part(np.arange(len(world.values))))
    nothing = law.empty(_width(law, world), world.n_classes or 2)
    none = law.of(world.part(np.arange(0)))
    for zero in (nothing, none):
        if len(world.values):
            assert_same(settled(zero + some), settled(some), rtol=1e-12)
            assert_same(settled(some + zero), settled(some), rtol=1e-12)
    results(settled(nothing))
    results(settled(none + nothing))


def _width(law: Law, world: World) -> int:
    return world.width if law.is_of_rows else world.view.width


@each
@given(world=worlds(), row=st.integers(0, 39))
@settings(deadline=None, max_examples=15)
def test_one_row_is_a_data_set(law: Law, world, row):
    if len(world.values):
        state = settled(law.of(world.part(np.array([row % len(world.values)]))))
        results(state)
        assert_same(settled(state + law.of(world.part(np.arange(0)))), state, rtol=1e-12)


@each
def test_a_state_does_not_grow_with_the_rows(law: Law):
    g = torch.Generator().manual_seed(0)
    sizes = []
    state = law.empty(6, 3)
    for i in range(40):
        x, ids = torch.randn(512, 6, generator=g), np.arange(i * 512, (i + 1) * 512)
        some = samples(torch.randint(3, (512,), generator=g), n_classes=3, ids=ids)
        state = state + law.of(batch(x, some, saturation=saturation(torch.relu)))
        sizes.append(_size(state))
    assert max(sizes[20:]) <= max(sizes[:20]) + BLOCK * 9 * 8


def _size(state) -> int:
    """Bytes held by the arrays and tensors of a state."""
    held, total_ = [getattr(state, name) for name in state.__dataclass_fields__], 0
    while held:
        value = held.pop()
        held.extend(value if isinstance(value, tuple) else ())
        total_ += value.nbytes if isinstance(value, np.ndarray | torch.Tensor) else 0
    return total_


@each
def test_the_output_of_a_layer_may_be_overwritten_after_the_hook(law: Law):
    g = torch.Generator().manual_seed(0)
    x = torch.randn(50, 6, generator=g).relu()
    some = samples(torch.randint(3, (50,), generator=g), n_classes=3)
    kept, overwritten = law.of(batch(x.clone(), some)), x.clone()
    state = law.of(batch(overwritten, some))
    overwritten.fill_(torch.nan)
    assert_same(settled(state), settled(kept), rtol=0)
