"""The state of one lowering, and `Symbol`, the tensor that a model is run on to be written down.

In: what the rules return. Out: a `PiecewiseAffine`. Must not know which operations there are.

A `Symbol` carries no numbers. Each of its elements is an affine row over the columns: the constant 1, the
inputs, the hinges made so far. It meets the model through `__torch_function__`, so whatever Python the
forward pass runs (modules, functions, methods, loops, skips) is followed as it happens; nothing is parsed.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

import numpy as np
import torch
from scipy.sparse import csr_array, eye_array
from torch import Tensor

from unbend._typing import Array, Float64
from unbend.errors import UnsupportedError
from unbend.numerics.piecewise import PiecewiseAffine, Sparse, Stage, UnitGroup


@dataclass(slots=True)
class Trace:
    """What the run has met.

    Attributes:
        n_inputs: numbers that go in.
        stages: the hinges.
        groups: the units that they make up.
        running: the modules that run, the innermost last: name, and whether it has submodules.
    """

    n_inputs: int
    stages: list[Stage] = field(default_factory=list)
    groups: list[UnitGroup] = field(default_factory=list)
    running: list[tuple[str, bool]] = field(default_factory=list)

    @property
    def n_hinges(self) -> int:
        """Hinges so far."""
        return sum(len(stage.low) for stage in self.stages)

    @property
    def n_columns(self) -> int:
        """Columns so far."""
        return 1 + self.n_inputs + self.n_hinges

    def place(self, operation: str) -> str:
        """A name for the operation that is running: its module, or module and function."""
        name, is_container = self.running[-1] if self.running else ("", True)
        plain = name if name and not is_container else f"{name}.{operation}".lstrip(".")
        taken = {group.name for group in self.groups}
        again = (f"{plain}#{count}" for count in range(2, len(taken) + 3))
        return plain if plain not in taken else next(new for new in again if new not in taken)

    def add(self, rows: csr_array, low: Float64[Array, "n"], high: Float64[Array, "n"]) -> csr_array:
        """New hinges on the given rows; returns the rows that read them."""
        before = self.n_columns
        self.stages.append(Stage(Sparse.of(widen(rows, before)), low.astype(float), high.astype(float)))
        n = len(low)
        return csr_array(eye_array(n, before + n, k=before, format="csr"))

    def behind(self, rows: csr_array) -> tuple[csr_array, Float64[Array, "n"], Float64[Array, "n"]] | None:
        """For rows that each read one hinge of one stage: the rows that those hinges look at, and their slopes."""
        rows = csr_array(rows)
        if not len(rows.data) or (np.diff(rows.indptr) != 1).any() or (rows.data != 1.0).any():
            return None
        first = 1 + self.n_inputs
        for stage in self.stages:
            own = rows.indices - first
            if (own >= 0).all() and (own < len(stage.low)).all():
                return widen(stage.weight.csr()[own], self.n_columns), stage.low[own], stage.high[own]
            first += len(stage.low)
        return None

    def finish(self, rows: csr_array, input_shape: tuple[int, ...]) -> PiecewiseAffine:
        """The network that returns the given rows, without groups that nothing reads."""
        matrices = [*(stage.weight.csr() for stage in self.stages), widen(rows, self.n_columns)]
        stages, groups = list(self.stages), list(self.groups)
        for index in reversed(range(len(stages))):
            start = sum(len(stage.low) for stage in stages[:index])
            n, column = len(stages[index].low), 1 + self.n_inputs + start
            later = matrices[index + 1 :]
            if any(matrix[:, column : column + n].count_nonzero() for matrix in later):
                continue
            whole = [group for group in groups if (group.first, group.n_hinges) == (start, n)]
            if not whole:
                continue
            groups = [_shift(group, start, n) for group in groups if group is not whole[0]]
            matrices[index + 1 :] = [_cut(matrix, column, n) for matrix in later]
            del matrices[index], stages[index]
        *inner, last = map(Sparse.of, matrices)
        left = tuple(Stage(matrix, stage.low, stage.high) for matrix, stage in zip(inner, stages, strict=True))
        return PiecewiseAffine(self.n_inputs, left, tuple(groups), last, input_shape)


def _shift(group: UnitGroup, start: int, n: int) -> UnitGroup:
    return replace(group, first=group.first - n) if group.first > start else group


def _cut(matrix: csr_array, column: int, n: int) -> csr_array:
    kept = np.r_[0:column, column + n : matrix.shape[1]]
    return csr_array(matrix[:, kept])


Rule: TypeAlias = Callable[..., Any]
"""Answers an operation: called with torch's function and its arguments."""
RULES: dict[str, Rule] = {}
"""By the plain name of the operation; `register` adds to it."""
_PLAIN = frozenset({
    "size", "dim", "numel", "ndimension", "nelement", "is_floating_point", "is_complex", "stride", "len",
    "hash", "repr", "is_contiguous", "get_device", "element_size", "is_tensor", "is_same_size", "shape",
    "dtype", "device", "ndim", "requires_grad", "is_cuda", "layout", "grad", "is_leaf", "is_quantized",
    "is_meta", "is_sparse", "grad_fn", "is_mps", "itemsize", "nbytes", "names",
})  # fmt: skip
"""Operations that ask nothing about values: torch itself answers."""


def register(names: str, rule: Rule) -> None:
    """Let a rule answer operations of these names."""
    for name in names.split():
        RULES[name] = rule


class Symbol(torch.Tensor):
    """A tensor of affine rows."""

    rows: csr_array
    tracer: Trace

    @classmethod
    def __torch_function__(
        cls, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Answer one torch operation by its rule."""
        del types
        name, kwargs = plain_name(func), kwargs or {}
        if name in _PLAIN:
            with torch._C.DisableTorchFunctionSubclass():
                return func(*args, **kwargs)
        if name not in RULES:
            raise refusal(_trace_of(args, kwargs), name)
        result = RULES[name](func, *args, **kwargs)
        in_place = kwargs.get("inplace") or getattr(func, "__name__", "").split(".")[0].endswith("_")
        if in_place and isinstance(result, Symbol) and not func.__name__.endswith("__"):
            target = args[0]
            target.rows = result.rows
            return target
        return result


def symbol(trace: Trace, rows: csr_array, shape: tuple[int, ...]) -> Symbol:
    """A tensor of the given shape with one affine row per element."""
    new = torch.Tensor._make_subclass(Symbol, torch.empty(shape, device="meta"))
    new.rows, new.tracer = rows, trace
    return new


def plain_name(func: Any) -> str:
    """One name for a function, its method, its operator and its in-place form."""
    name = getattr(func, "__name__", str(func))
    if name == "__get__":  # a property
        name = func.__self__.__name__
    return name.split(".")[0].strip("_")


def shape_of(x: Tensor) -> tuple[int, ...]:
    """The shape, asked without going through the rules."""
    with torch._C.DisableTorchFunctionSubclass():
        return tuple(x.shape)


def widen(rows: csr_array, n_columns: int) -> csr_array:
    """The same rows, with room for hinges made since."""
    if rows.shape[1] == n_columns:
        return rows
    return csr_array((rows.data, rows.indices, rows.indptr), shape=(rows.shape[0], n_columns))


def constant(x: Any) -> Float64[Array, "..."]:
    """A weight as float64."""
    if isinstance(x, Tensor):
        return x.detach().to("cpu", torch.float64).numpy()
    return np.asarray(x, np.float64)


def refusal(trace: Trace, operation: str, reason: str | None = None) -> UnsupportedError:
    """The error for an operation that cannot be lowered, with the layer's name."""
    where = trace.running[-1][0] if trace.running else ""
    why = reason or _REASONS.get(operation, "is not known to be continuous and piecewise linear")
    return UnsupportedError(
        f"layer '{where or '(model)'}': {operation} {why}. "
        "Exact regions need affine operations and continuous piecewise-linear activations; stop before "
        "it with layer=…, or describe your own function with custom=…."
    )


def _trace_of(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Trace:
    stack: list[Any] = [*args, *kwargs.values()]
    while stack:
        item = stack.pop()
        if isinstance(item, Symbol):
            return item.tracer
        if isinstance(item, (list, tuple)):
            stack.extend(item)
    return Trace(0)


_SMOOTH = "is a smooth curve, not piecewise linear"
_NORM = "divides by a statistic of its own input, so it is not piecewise linear"
_JUMP = "jumps, so it is not continuous"
_DATA = "makes the computation depend on the values of the data"
_REASONS = {
    **dict.fromkeys(
        ("gelu", "silu", "mish", "elu", "selu", "celu", "softplus", "tanh", "sigmoid", "logsigmoid",
         "softsign", "tanhshrink", "exp", "log", "sqrt", "rsqrt", "sin", "cos", "erf"), _SMOOTH),
    **dict.fromkeys(("layer_norm", "group_norm", "instance_norm", "rms_norm", "normalize",
                     "local_response_norm", "norm", "std", "var"), _NORM),
    **dict.fromkeys(("softmax", "log_softmax", "softmin", "gumbel_softmax"),
                    "divides by a sum of exponentials, so it is not piecewise linear"),
    **dict.fromkeys(("threshold", "hardshrink", "sign", "heaviside", "round", "floor", "ceil", "gt", "lt",
                     "ge", "le", "eq", "ne", "argmax", "argmin"), _JUMP),
    **dict.fromkeys(("bool", "item", "int", "float", "tolist", "nonzero", "where", "index"), _DATA),
    "hardswish": "is piecewise quadratic",
    "glu": "multiplies two functions of the input",
    "scaled_dot_product_attention": "multiplies functions of the input and takes a softmax",
    "multi_head_attention_forward": "multiplies functions of the input and takes a softmax",
    "pow": "is not linear",
    "square": "is not linear",
    "reciprocal": "is not linear",
}  # fmt: skip
