"""Rules for affine operations: what moves elements, what adds them up, what multiplies by weights.

In: symbols and the arguments of torch's functions. Out: symbols over the same hinges. Must not know modules.
"""

from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from scipy.sparse import csr_array, diags_array, eye_array, kron, vstack
from torch import Tensor
from torch.nn import functional

from unbend._typing import Array, Float64, Int64, Shaped
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

_MOVES = (
    "view reshape flatten unflatten permute transpose t swapaxes swapdims movedim moveaxis squeeze "
    "unsqueeze expand expand_as broadcast_to getitem select narrow chunk split tensor_split unbind roll flip "
    "pixel_shuffle pixel_unshuffle channel_shuffle unfold repeat tile slice view_as reshape_as ravel "
    "split_with_sizes unsafe_split rot90 T mT adjoint index_select take_along_dim diagonal"
)
_SAME = (
    "contiguous clone detach alias to float double half bfloat16 type_as type cpu cuda requires_grad_ "
    "requires_grad dropout dropout1d dropout2d dropout3d alpha_dropout feature_dropout identity lift_fresh "
    "_to_copy to_copy data"
)
_BY_COLUMNS = (
    "mean sum interpolate upsample adaptive_avg_pool1d adaptive_avg_pool2d adaptive_avg_pool3d avg_pool3d "
    "conv3d conv_transpose1d conv_transpose2d conv_transpose3d matmul mm bmm mv rmatmul einsum cumsum "
    "tensordot upsample_nearest2d upsample_bilinear2d fold"
)


def rows_of(x: Any, like: Symbol) -> csr_array:
    """The rows of a symbol, or of a constant tensor."""
    if isinstance(x, Symbol):
        return widen(x.rows, like.tracer.n_columns)
    values = constant(x).reshape(-1, 1)
    return widen(csr_array(values), like.tracer.n_columns)


def move(func: Any, x: Symbol, *args: Any, **kwargs: Any) -> Any:
    """Any operation that only moves, copies or drops elements: run it on the elements' numbers."""
    index = torch.arange(x.rows.shape[0], dtype=torch.float64).reshape(shape_of(x))
    plain = [_plain(arg) for arg in args]
    out = func(index, *plain, **{key: _plain(value) for key, value in kwargs.items()})
    if isinstance(out, Tensor):
        return _pick(x, out)
    return type(out)(_pick(x, part) for part in out)


def _plain(arg: Any) -> Any:
    return torch.empty(shape_of(arg)) if isinstance(arg, Symbol) else arg


def _pick(x: Symbol, index: Tensor) -> Symbol:
    return symbol(x.tracer, x.rows[index.reshape(-1).long().numpy()], tuple(index.shape))


def same(func: Any, x: Symbol, *args: Any, **kwargs: Any) -> Symbol:
    """Operations that change nothing in evaluation mode and real arithmetic."""
    if plain_name(func).endswith("dropout") and (kwargs.get("training") or True in args):
        raise refusal(x.tracer, plain_name(func), "is random in training mode; call model.eval()")
    return x


def join(func: Any, parts: Iterable[Any], *args: Any, **kwargs: Any) -> Symbol:
    """`cat` and `stack`."""
    parts = list(parts)
    first = next(part for part in parts if isinstance(part, Symbol))
    ends = np.cumsum([0, *(int(np.prod(shape_of(part))) for part in parts)])
    index = [
        torch.arange(int(a), int(b), dtype=torch.float64).reshape(shape_of(part))
        for part, a, b in zip(parts, ends, ends[1:], strict=False)
    ]
    out = func(index, *args, **kwargs)
    rows = csr_array(vstack([rows_of(part, first) for part in parts], format="csr"))
    return symbol(first.tracer, rows[out.reshape(-1).long().numpy()], tuple(out.shape))


def pad_with(func: Any, x: Symbol, pad: Any, mode: str = "constant", value: Any = None) -> Symbol:
    """`functional.pad` in all its modes."""
    index = torch.arange(1, x.rows.shape[0] + 1, dtype=torch.float64).reshape(shape_of(x))
    out = func(index, pad) if mode == "constant" else func(index, pad, mode=mode)
    flat = out.reshape(-1).long().numpy()
    fill = csr_array(np.full((1, 1), float(value or 0.0)))
    rows = csr_array(vstack([widen(fill, x.rows.shape[1]), x.rows], format="csr"))
    return symbol(x.tracer, rows[flat], tuple(out.shape))


def _add(a: Any, b: Any, scale: Any) -> Symbol:
    """`a + scale * b` with broadcasting; at least one is a symbol."""
    like = a if isinstance(a, Symbol) else b
    shapes = [shape_of(x) if isinstance(x, Tensor) else np.shape(x) for x in (a, b)]
    shape = np.broadcast_shapes(*shapes)
    rows = []
    for x, own in zip((a, b), shapes, strict=True):
        index = np.broadcast_to(np.arange(int(np.prod(own))).reshape(own), shape).ravel()
        rows.append(rows_of(x, like)[index])
    return symbol(like.tracer, csr_array(rows[0] + scale * rows[1]), shape)


def add(func: Any, a: Any, b: Any, *, alpha: Any = 1.0, **_: Any) -> Symbol:
    """Sum of two tensors, of which one may be constant."""
    del func
    return _add(a, b, alpha)


def subtract(func: Any, a: Any, b: Any, *, alpha: Any = 1.0, **_: Any) -> Symbol:
    """Difference of two tensors, of which one may be constant."""
    return _add(b, a, -alpha) if plain_name(func) == "rsub" else _add(a, b, -alpha)


def times(x: Symbol, factor: Shaped[Array, "..."]) -> Symbol:
    """The tensor times constants, with broadcasting."""
    shape = np.broadcast_shapes(shape_of(x), factor.shape)
    index = np.broadcast_to(np.arange(x.rows.shape[0]).reshape(shape_of(x)), shape).ravel()
    factors = diags_array(np.broadcast_to(factor, shape).ravel().astype(float))
    return symbol(x.tracer, csr_array(factors @ x.rows[index]), shape)


def multiply(func: Any, a: Any, b: Any, **_: Any) -> Symbol:
    """Product with a constant."""
    if isinstance(a, Symbol) and isinstance(b, Symbol):
        raise refusal(a.tracer, plain_name(func), "multiplies two functions of the input")
    return times(a, constant(b)) if isinstance(a, Symbol) else times(b, constant(a))


def divide(func: Any, a: Any, b: Any, **_: Any) -> Symbol:
    """Division by a constant."""
    if isinstance(b, Symbol):
        raise refusal(b.tracer, plain_name(func), "divides by a function of the input")
    return times(a, np.asarray(1.0 / constant(b)))


def negate(func: Any, x: Symbol) -> Symbol:
    """Minus."""
    del func
    return times(x, np.array(-1.0))


def apply(
    matrix: csr_array, x: Symbol, shape: tuple[int, ...], bias: Float64[Array, "outputs"] | None = None
) -> Symbol:
    """A linear map of the flattened tensor, plus a constant."""
    rows = csr_array(matrix @ x.rows)
    if bias is not None:
        rows = csr_array(rows + widen(csr_array(bias.reshape(-1, 1)), rows.shape[1]))
    return symbol(x.tracer, rows, shape)


def linear(func: Any, x: Symbol, weight: Any, bias: Any = None) -> Symbol:
    """`x @ W.T + b` on the last axis."""
    if isinstance(weight, Symbol):
        raise refusal(x.tracer, plain_name(func), "multiplies two functions of the input")
    matrix = constant(weight)
    *batch, _ = shape_of(x)
    n = int(np.prod(batch))
    wide = csr_array(kron(eye_array(n), csr_array(matrix), format="csr"))
    offset = None if bias is None else np.tile(constant(bias), n)
    return apply(wide, x, (*batch, len(matrix)), offset)


def addmm(func: Any, bias: Any, x: Symbol, weight: Any, **_: Any) -> Symbol:
    """`bias + x @ W`."""
    return linear(func, x, constant(weight).T, np.broadcast_to(constant(bias), (constant(weight).shape[1],)))


def windows(
    shape: tuple[int, ...], kernel: tuple[int, ...], stride: tuple[int, ...], dilation: tuple[int, ...],
    padding: tuple[int, ...], out: tuple[int, ...],
) -> Int64[Array, "c k p"]:  # fmt: skip
    """Per channel and output position the input elements under the kernel, -1 in the padding: (c, k, p)."""
    channels, height, width = shape
    index = torch.arange(1, channels * height * width + 1, dtype=torch.float64)
    more = [k * d + s for k, d, s in zip(kernel, dilation, stride, strict=True)]
    index = functional.pad(
        index.reshape(channels, 1, height, width),
        (padding[1], padding[1] + more[1], padding[0], padding[0] + more[0]),
    )
    patches = functional.unfold(index, kernel, dilation, 0, stride)
    reach = [
        (size - d * (k - 1) - 1) // s + 1
        for size, k, s, d in zip(index.shape[2:], kernel, stride, dilation, strict=True)
    ]
    patches = patches.reshape(channels, kernel[0] * kernel[1], *reach)[:, :, : out[0], : out[1]]
    return patches.reshape(channels, kernel[0] * kernel[1], -1).long().numpy() - 1


def pair(value: Any, n: int) -> tuple[int | None, ...]:
    """One number per axis, for two axes; a one-dimensional operation has height one."""
    values = tuple(value) if isinstance(value, (tuple, list)) else (value,) * n
    values = values * n if len(values) == 1 else values
    return values if len(values) == 2 else (None, *values)


def convolution(
    func: Any, x: Symbol, weight: Any, bias: Any = None, stride: Any = 1, padding: Any = 0,
    dilation: Any = 1, groups: int = 1,
) -> Symbol:  # fmt: skip
    """`conv1d` and `conv2d` as one sparse matrix."""
    del func
    matrix = constant(weight)
    n = matrix.ndim - 2
    if isinstance(padding, str):
        total = [d * (k - 1) for d, k in zip(_wide(dilation, n), matrix.shape[2:], strict=True)]
        if padding == "same" and any(total):
            sides = [side for t in reversed(total) for side in (t // 2, t - t // 2)]
            x = pad_with(functional.pad, x, sides)
        padding = 0
    own = shape_of(x)
    batched = own if len(own) == n + 2 else (1, *own)
    height, width = (1, batched[2]) if n == 1 else batched[2:]
    kernel = (1, matrix.shape[2]) if n == 1 else matrix.shape[2:]
    steps = [1 if s is None else s for s in pair(stride, n)]
    gaps = [1 if s is None else s for s in pair(dilation, n)]
    pads = [0 if s is None else s for s in pair(padding, n)]
    out = tuple(
        (size + 2 * p - d * (k - 1) - 1) // s + 1
        for size, p, d, k, s in zip((height, width), pads, gaps, kernel, steps, strict=True)
    )
    index = windows((batched[1], height, width), kernel, tuple(steps), tuple(gaps), tuple(pads), out)
    wide = _convolution_matrix(matrix.reshape(len(matrix), -1), index, groups, batched[1] * height * width)
    wide = csr_array(kron(eye_array(batched[0]), wide, format="csr"))
    shape = (*own[: len(own) - n - 1], len(matrix), *(out if n == 2 else out[1:]))
    positions = out[0] * out[1]
    offset = None if bias is None else np.tile(np.repeat(constant(bias), positions), batched[0])
    return apply(wide, x, shape, offset)


def _wide(value: Any, n: int) -> tuple[int, ...]:
    values = tuple(value) if isinstance(value, (tuple, list)) else (value,) * n
    return values * n if len(values) == 1 else values


def _convolution_matrix(
    weight: Float64[Array, "o i"], index: Int64[Array, "c k p"], groups: int, n_inputs: int
) -> csr_array:
    """`weight` (outputs, inputs of a group x kernel) over windows (channels, kernel, positions)."""
    n_out, positions = len(weight), index.shape[2]
    grouped = index.reshape(groups, -1, positions)
    which = np.repeat(np.arange(groups), n_out // groups)
    columns = grouped[which].transpose(0, 2, 1)
    values = np.broadcast_to(weight[:, None, :], columns.shape)
    rows = np.broadcast_to(np.arange(n_out * positions).reshape(n_out, positions, 1), columns.shape)
    some = columns >= 0
    return csr_array((values[some], (rows[some], columns[some])), shape=(n_out * positions, n_inputs))


def average_pool(
    func: Any, x: Symbol, kernel_size: Any, stride: Any = None, padding: Any = 0, *rest: Any, **kwargs: Any
) -> Symbol:
    """`avg_pool1d` and `avg_pool2d`."""
    return by_columns(func, x, kernel_size, stride, padding, *rest, **kwargs)


def by_columns(func: Any, *args: Any, **kwargs: Any) -> Symbol:
    """Any operation that is linear in one tensor: run it on every unit vector.

    Cost:
        One run per element of the tensor.
    """
    symbols = [arg for arg in (*args, *kwargs.values()) if isinstance(arg, Symbol)]
    lists = [part for arg in args if isinstance(arg, (list, tuple)) for part in arg]
    symbols += [part for part in lists if isinstance(part, Symbol)]
    x = symbols[0]
    if len(symbols) > 1:
        raise refusal(x.tracer, plain_name(func), "multiplies two functions of the input")

    def run(value: Tensor) -> Tensor:
        def put(arg: Any) -> Any:
            if isinstance(arg, Symbol):
                return value
            if isinstance(arg, (list, tuple)) and any(part is x for part in arg):
                return type(arg)(put(part) for part in arg)
            return arg.detach().double() if isinstance(arg, Tensor) and arg.is_floating_point() else arg

        return func(*(put(arg) for arg in args), **{key: put(arg) for key, arg in kwargs.items()})

    shape, n = shape_of(x), x.rows.shape[0]
    zero = run(torch.zeros(shape, dtype=torch.float64))
    columns = []
    for i in range(n):
        unit = torch.zeros(n, dtype=torch.float64)
        unit[i] = 1.0
        columns.append(csr_array((run(unit.reshape(shape)) - zero).reshape(1, -1).numpy()))
    matrix = csr_array(vstack(columns, format="csr").T)
    return apply(matrix, x, tuple(zero.shape), zero.reshape(-1).numpy())


def batch_norm(
    func: Any, x: Symbol, running_mean: Any, running_var: Any, weight: Any = None, bias: Any = None,
    training: bool = False, momentum: Any = 0.1, eps: Any = 1e-5, *_: Any,
) -> Symbol:  # fmt: skip
    """Batch normalisation with its running statistics."""
    del func, momentum
    if training or running_mean is None:
        raise refusal(x.tracer, "batch_norm", "without running statistics depends on the whole batch")
    scale = 1.0 / np.sqrt(constant(running_var) + eps)
    if weight is not None:
        scale = scale * constant(weight)
    offset = -constant(running_mean) * scale
    if bias is not None:
        offset = offset + constant(bias)
    channels = (1, -1, *(1 for _ in shape_of(x)[2:]))
    return _add(times(x, scale.reshape(channels)), torch.from_numpy(offset.reshape(channels)), 1.0)


register(_MOVES, move)
register(_SAME, same)
register(_BY_COLUMNS, by_columns)
register("cat stack concat concatenate hstack vstack", join)
register("add radd iadd", add)
register("sub rsub isub subtract", subtract)
register("mul rmul imul multiply", multiply)
register("div truediv divide itruediv true_divide", divide)
register("neg negative", negate)
register("avg_pool1d avg_pool2d", average_pool)
register("conv1d conv2d", convolution)
register("batch_norm native_batch_norm_legit_no_training", batch_norm)
register("pad constant_pad_nd", pad_with)
register("linear", linear)
register("addmm", addmm)
