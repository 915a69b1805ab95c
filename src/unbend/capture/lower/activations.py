"""Rules for what has breakpoints: continuous piecewise-linear activations, and maxima.

In: symbols and the arguments of torch's functions. Out: symbols over new hinges. Must not know modules.
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from scipy.sparse import csr_array, vstack
from torch import Tensor

from unbend._typing import Array, Float64, Int64
from unbend.capture.lower.affine import pair, rows_of, times, windows
from unbend.capture.lower.trace import (
    Symbol,
    constant,
    plain_name,
    refusal,
    register,
    shape_of,
    symbol,
    widen,
)
from unbend.errors import DataError
from unbend.numerics.piecewise import UnitGroup


@dataclass(frozen=True, slots=True)
class PiecewiseCurve:
    """A continuous piecewise-linear function of one number.

    `slopes` has one entry more than `breakpoints`: left of the first, between, right of the last.
    `value` is the function's value at the first breakpoint.

    Attributes:
        breakpoints: where the slope changes, ascending.
        slopes: left of the first breakpoint, between, right of the last.
        value: at the first breakpoint.

    Example:
        >>> hat = PiecewiseCurve(breakpoints=(-1.0, 0.0, 1.0), slopes=(0.0, 1.0, -1.0, 0.0), value=0.0)
    """

    breakpoints: tuple[float, ...]
    slopes: tuple[float, ...]
    value: float = 0.0

    def __post_init__(self) -> None:
        if not self.breakpoints or len(self.slopes) != len(self.breakpoints) + 1:
            raise DataError(
                f"curve: expected one slope more than breakpoints, got {len(self.slopes)} slopes and "
                f"{len(self.breakpoints)} breakpoints. Give the slope of every piece, left to right."
            )
        if any(a >= b for a, b in pairwise(self.breakpoints)):
            raise DataError("curve: expected increasing breakpoints. Sort them.")


def piecewise_linear(x: Symbol, operation: str, breakpoints: list[Any], slopes: list[Any], value: Any) -> Symbol:
    """Apply a piecewise-linear function to every element; slopes may differ per element."""
    n, trace = x.rows.shape[0], x.tracer
    rows = widen(x.rows, trace.n_columns)
    trace.groups.append(UnitGroup(trace.place(operation), "breakpoints", n, len(breakpoints), trace.n_hinges))
    levels = [np.broadcast_to(np.asarray(slope, float), (n,)) for slope in slopes]
    shifted = [csr_array(rows - _level(point, n, trace.n_columns)) for point in breakpoints]
    low = [levels[0]] + [np.zeros(n)] * (len(breakpoints) - 1)
    high = [levels[1]] + [after - before for before, after in pairwise(levels[1:])]
    hinges = trace.add(csr_array(vstack(shifted, format="csr")), np.concatenate(low), np.concatenate(high))
    total = hinges[:n]
    for index in range(1, len(breakpoints)):
        total = total + hinges[index * n : (index + 1) * n]
    if value:
        total = total + _level(value, n, trace.n_columns)
    return symbol(trace, csr_array(total), shape_of(x))


def _level(value: Any, n: int, n_columns: int) -> csr_array:
    return widen(csr_array(np.full((n, 1), float(value))), n_columns)


def relu(func: Any, x: Symbol, *_: Any, **__: Any) -> Symbol:
    """ReLU."""
    return piecewise_linear(x, plain_name(func), [0.0], [0.0, 1.0], 0.0)


def relu6(func: Any, x: Symbol, *_: Any, **__: Any) -> Symbol:
    """ReLU6."""
    return piecewise_linear(x, plain_name(func), [0.0, 6.0], [0.0, 1.0, 0.0], 0.0)


def leaky_relu(func: Any, x: Symbol, negative_slope: Any = 0.01, *_: Any, **__: Any) -> Symbol:
    """LeakyReLU."""
    return piecewise_linear(x, plain_name(func), [0.0], [float(negative_slope), 1.0], 0.0)


def rrelu(func: Any, x: Symbol, lower: Any = 1 / 8, upper: Any = 1 / 3, training: bool = False,
          *_: Any, **__: Any) -> Symbol:  # fmt: skip
    """Randomised LeakyReLU, in evaluation mode."""
    if training:
        raise refusal(x.tracer, "rrelu", "is random in training mode; call model.eval()")
    return piecewise_linear(x, plain_name(func), [0.0], [0.5 * (lower + upper), 1.0], 0.0)


def prelu(func: Any, x: Symbol, weight: Any) -> Symbol:
    """PReLU: one slope, or one per channel (axis 1)."""
    slope = constant(weight)
    shape = shape_of(x)
    if slope.size > 1:
        channels = (1, -1, *(1 for _ in shape[2:])) if len(shape) > 1 else (-1,)
        slope = np.broadcast_to(slope.reshape(channels), shape).ravel()
    return piecewise_linear(x, plain_name(func), [0.0], [slope.ravel(), 1.0], 0.0)


def hardtanh(func: Any, x: Symbol, min_val: Any = -1.0, max_val: Any = 1.0, *_: Any, **__: Any) -> Symbol:
    """Hardtanh."""
    return piecewise_linear(x, plain_name(func), [min_val, max_val], [0.0, 1.0, 0.0], min_val)


def clamp(func: Any, x: Symbol, min: Any = None, max: Any = None, **_: Any) -> Symbol:
    """`clamp`, with one bound or both, which must be numbers."""
    if isinstance(min, Tensor) or isinstance(max, Tensor):
        raise refusal(x.tracer, plain_name(func), "with tensors as bounds is not covered")
    if min is None:
        return x if max is None else piecewise_linear(x, plain_name(func), [float(max)], [1.0, 0.0], float(max))
    if max is None:
        return piecewise_linear(x, plain_name(func), [float(min)], [0.0, 1.0], float(min))
    return hardtanh(func, x, float(min), float(max))


def hardsigmoid(func: Any, x: Symbol, *_: Any, **__: Any) -> Symbol:
    """Hardsigmoid."""
    return piecewise_linear(x, plain_name(func), [-3.0, 3.0], [0.0, 1.0 / 6.0, 0.0], 0.0)


def softshrink(func: Any, x: Symbol, lambd: Any = 0.5) -> Symbol:
    """Softshrink."""
    if lambd == 0:
        return x
    return piecewise_linear(x, plain_name(func), [-lambd, lambd], [1.0, 0.0, 1.0], 0.0)


def absolute(func: Any, x: Symbol) -> Symbol:
    """Absolute value."""
    return piecewise_linear(x, plain_name(func), [0.0], [-1.0, 1.0], 0.0)


def threshold(func: Any, x: Symbol, threshold: Any, value: Any, *_: Any, **__: Any) -> Symbol:
    """Threshold, where it does not jump."""
    if threshold != value:
        raise refusal(x.tracer, plain_name(func))
    return piecewise_linear(x, plain_name(func), [threshold], [0.0, 1.0], value)


def largest(x: Symbol, operation: str, candidates: list[csr_array], shape: tuple[int, ...]) -> Symbol:
    """Elementwise maximum of several tensors of rows, by rounds of pairs: `a + relu(b - a)`."""
    trace, n = x.tracer, int(np.prod(shape))
    name, first, n_ways = trace.place(operation), trace.n_hinges, len(candidates)
    while len(candidates) > 1:
        width = trace.n_columns
        candidates = [widen(rows, width) for rows in candidates]
        pairs = list(zip(candidates[::2], candidates[1::2], strict=False))
        odd = candidates[2 * len(pairs) :]
        gaps = csr_array(vstack([csr_array(b - a) for a, b in pairs], format="csr"))
        wins = trace.add(gaps, np.zeros(gaps.shape[0]), np.ones(gaps.shape[0]))
        width = trace.n_columns
        candidates = [csr_array(widen(a, width) + wins[i * n : (i + 1) * n]) for i, (a, _) in enumerate(pairs)] + odd
    if n_ways > 1:
        trace.groups.append(UnitGroup(name, "max", n, n_ways, first))
    return symbol(trace, candidates[0], shape)


def max_pool(
    func: Any, x: Symbol, kernel_size: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1,
    ceil_mode: bool = False, return_indices: bool = False, **_: Any,
) -> Symbol:  # fmt: skip
    """`max_pool1d` and `max_pool2d`. At the border a candidate in the padding is replaced by a real one.

    A pooled activation that never falls is applied after the maximum: the same function, without ties.
    """
    operation = plain_name(func)
    if return_indices:
        raise refusal(x.tracer, operation, "with return_indices returns positions, which jump")
    n = 1 if "1d" in operation else 2
    own = shape_of(x)
    size = (1, own[-1]) if n == 1 else own[-2:]
    kernel = [1 if k is None else int(k) for k in pair(kernel_size, n)]
    steps = [1 if k is None else int(k) for k in pair(stride or kernel_size, n)]
    pads = [0 if k is None else int(k) for k in pair(padding, n)]
    gaps = [1 if k is None else int(k) for k in pair(dilation, n)]
    out = tuple(
        _pooled_length(*axis, ceil_mode=ceil_mode) for axis in zip(size, kernel, steps, pads, gaps, strict=True)
    )
    channels = int(np.prod(own[:-n]))
    index = windows((channels, *size), tuple(kernel), tuple(steps), tuple(gaps), tuple(pads), out)
    real = np.take_along_axis(index, np.argmax(index >= 0, axis=1)[:, None], axis=1)
    index = np.where(index >= 0, index, real).transpose(1, 0, 2).reshape(index.shape[1], -1)
    rows = widen(x.rows, x.tracer.n_columns)
    shape = (*own[:-n], *(out if n == 2 else out[1:]))
    inner = x.tracer.behind(rows)
    if inner is not None and _commutes(index, *inner[1:]):
        before, low, high = inner
        pooled = largest(x, operation, [before[candidate] for candidate in index], shape)
        return piecewise_linear(pooled, operation, [0.0], [low[index[0]], high[index[0]]], 0.0)
    return largest(x, operation, [rows[candidate] for candidate in index], shape)


def _commutes(index: Int64[Array, "k n"], low: Float64[Array, "m"], high: Float64[Array, "m"]) -> bool:
    """Whether an activation never falls, the same in every window: then it may as well follow the maximum.

    `max(relu(a), relu(b))` ties wherever both are off; `relu(max(a, b))` is the same and does not.
    """
    rises = (low >= 0).all() and (high >= 0).all()
    return bool(rises and (low[index] == low[index[0]]).all() and (high[index] == high[index[0]]).all())


def _pooled_length(size: int, kernel: int, stride: int, padding: int, dilation: int, *, ceil_mode: bool) -> int:
    """Length of a pooled axis, as torch counts it."""
    reach = size + 2 * padding - dilation * (kernel - 1) - 1
    if not ceil_mode:
        return reach // stride + 1
    length = -(-reach // stride) + 1
    return length - 1 if (length - 1) * stride >= size + padding else length


class MaxAndWhere(NamedTuple):
    """What `x.max(dim)` returns; the positions jump and are not given.

    Attributes:
        values: the greatest ones.
        indices: never given.
    """

    values: Symbol
    indices: None = None


def over(func: Any, x: Any, other: Any = None, keepdim: bool = False, **kwargs: Any) -> Any:
    """`max`, `amax`, `maximum` and their `min` twins, over two tensors or along axes."""
    operation = plain_name(func)
    sign = -1.0 if operation in {"min", "amin", "minimum", "fmin"} else 1.0
    axes = kwargs.get("dim", other)
    if isinstance(axes, Tensor) or (isinstance(x, Tensor) and not isinstance(x, Symbol)):
        like: Any = x if isinstance(x, Symbol) else axes
        shape = tuple(np.broadcast_shapes(shape_of(x), shape_of(axes)))
        both = []
        for part in (x, axes):
            index = np.arange(int(np.prod(shape_of(part)))).reshape(shape_of(part))
            both.append(csr_array(sign * rows_of(part, like)[np.broadcast_to(index, shape).ravel()]))
        return _times_sign(largest(like, operation, both, shape), sign)
    shape = shape_of(x)
    axes = tuple(range(len(shape))) if axes is None else tuple(np.atleast_1d(axes).tolist())
    axes = tuple(axis % len(shape) for axis in axes)
    index = np.arange(x.rows.shape[0]).reshape(shape)
    rest = [axis for axis in range(len(shape)) if axis not in axes]
    index = index.transpose(*axes, *rest).reshape(-1, int(np.prod([shape[axis] for axis in rest])))
    kept = tuple(1 if axis in axes else size for axis, size in enumerate(shape))
    out = kept if keepdim else tuple(shape[axis] for axis in rest)
    rows = csr_array(sign * x.rows)
    best = _times_sign(largest(x, operation, [rows[one] for one in index], out), sign)
    has_positions = operation in {"max", "min"} and (other is not None or "dim" in kwargs)
    return MaxAndWhere(best) if has_positions else best


def _times_sign(x: Symbol, sign: float) -> Symbol:
    return x if sign > 0 else times(x, np.array(-1.0))


def adaptive_max_pool(func: Any, x: Symbol, output_size: Any, return_indices: Any = None, **_: Any) -> Symbol:
    """Adaptive max pooling onto a grid that divides the input evenly."""
    n = 1 if "1d" in plain_name(func) else 2
    size = shape_of(x)[-n:]
    goal = tuple(output_size) if isinstance(output_size, (tuple, list)) else (output_size,) * n
    goal = tuple(s if g is None else g for g, s in zip(goal, size, strict=True))
    if return_indices or any(s % g for s, g in zip(size, goal, strict=True)):
        raise refusal(x.tracer, plain_name(func), "onto a grid that does not divide the input is not covered")
    kernel = tuple(s // g for s, g in zip(size, goal, strict=True))
    return max_pool(func, x, kernel)


for _name, _rule in {
    "relu": relu, "relu6": relu6, "leaky_relu": leaky_relu, "rrelu": rrelu, "prelu": prelu,
    "hardtanh": hardtanh, "clamp clip": clamp, "hardsigmoid": hardsigmoid, "softshrink": softshrink,
    "abs absolute": absolute, "threshold": threshold, "max_pool1d max_pool2d": max_pool,
    "adaptive_max_pool1d adaptive_max_pool2d": adaptive_max_pool,
    "max min amax amin maximum minimum fmax fmin": over,
}.items():  # fmt: skip
    register(_name, _rule)
