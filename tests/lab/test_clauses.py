"""Every clause of every verdict can fail: for each check there are numbers that break it."""

from dataclasses import fields, is_dataclass, replace

import numpy as np
import pytest

from unbend.lab import Check, Verdict, claim, claims

_CHANGES = (
    lambda a: a * 3 + 2,
    lambda a: a * 0.3,
    np.zeros_like,
    np.ones_like,
    lambda a: -a - 1,
    lambda a: np.flip(a, axis=-1),
    lambda a: np.flip(a, axis=0),
    lambda a: a * np.linspace(0.2, 3, a.shape[-1]),
    lambda a: a * np.linspace(3, 0.2, a.shape[-1]),
)


def in_turn(streams):
    """One of each, then the next of each, until all have ended: most checks break early, whatever they look at."""
    streams = [iter(stream) for stream in streams]
    while streams:
        still = []
        for stream in streams:
            for first in stream:
                yield first
                still.append(stream)
                break
        streams = still


def changed(value):
    """What a number, an array, or a dataclass or tuple of them becomes under each change; a text stays as it is."""
    if is_dataclass(value):
        yield from one_field_changed(value)
    elif isinstance(value, tuple):
        yield value[:-1]
        yield from in_turn(_with_part(value, i) for i in range(len(value)))
    elif isinstance(value, bool | np.bool_):
        yield not value
    elif isinstance(value, np.ndarray) and value.size and value.dtype.kind in "fiub":
        yield from arrays_changed(value)
    elif isinstance(value, int | float):
        yield from (type(value)(other) for other in (value * 3 + 2, value * 0.3, -value - 1, 0))


def _with_part(values, i):
    """The tuple with one part changed, in every way."""
    return ((*values[:i], other, *values[i + 1 :]) for other in changed(values[i]))


def arrays_changed(value):
    """An array changed as a whole, then row by row and column by column; of yes and no each place is turned over."""
    if value.dtype == bool:
        yield from (~value, np.zeros_like(value), np.ones_like(value))
        for place in np.ndindex(value.shape):
            other = value.copy()
            other[place] = not other[place]
            yield other
        return
    yield from (change(value.astype(np.float64)).astype(value.dtype) for change in _CHANGES if value.ndim)
    for axis in range(value.ndim):
        for place in range(value.shape[axis]):
            for factor in (-3, 0, 0.1, 10):
                other = np.moveaxis(value.copy(), axis, 0)
                other[place] = (other[place] * factor).astype(value.dtype)
                yield np.moveaxis(other, 0, axis)


def one_field_changed(result):
    """The result with one field changed, in every way."""
    return in_turn(_with_field(result, field.name) for field in fields(result))


def _with_field(result, name):
    return (replace(result, **{name: other}) for other in changed(getattr(result, name)))


def failed(one, result):
    """The checks that do not pass by their place; none where no verdict comes about."""
    try:
        with np.errstate(all="ignore"):
            checks = one.holds(result).checks
    except (
        TypeError,
        ValueError,
        IndexError,
        KeyError,
        ZeroDivisionError,
        FloatingPointError,
        OverflowError,
        StopIteration,
    ):
        return set()
    return {i for i, check in enumerate(checks) if not check.passed}


def never_broken(one, result):
    """The checks with bounds that pass whatever is changed in the result, in words."""
    checks = one.holds(result).checks
    bounded = {i for i, check in enumerate(checks) if np.isfinite(check.low) or np.isfinite(check.high)}
    broken = set()
    for other in one_field_changed(result):
        broken |= failed(one, other)
        if bounded <= broken:
            break
    return [checks[i].what for i in sorted(bounded - broken)]


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("name", claims())
def test_every_check_of_the_verdict_can_fail(name, quick):
    assert not never_broken(claim(name), quick(name))


def test_a_check_that_always_passes_is_found(quick):
    always, sometimes = Check("always", 1.0, 0.0, 2.0), claim("neuron").holds(quick("neuron")).checks[1]
    one = replace(claim("neuron"), holds=lambda result: Verdict("holds", "So it is.", (
        always, replace(sometimes, measured=float(np.abs(result.outputs - result.outputs[0]).max())),
    )))  # fmt: skip
    assert never_broken(one, quick("neuron")) == ["always"]
