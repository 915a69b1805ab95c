"""What torch's functions do to values, by name. A name in no table is an operation that mixes values."""

from typing import Any

from unbend.capture.kinds import FUNCTIONS

BENDING = FUNCTIONS | frozenset({
    "clamp", "clamp_min", "clamp_max", "clip", "maximum", "minimum", "fmax", "fmin", "max", "min", "abs", "absolute",
    "sin", "cos", "tan", "asin", "acos", "atan", "atan2", "sinh", "cosh", "sinc", "exp", "exp2", "expm1", "log", "log2",
    "log10", "log1p", "erf", "erfc", "sqrt", "rsqrt", "square", "pow", "__rpow__", "sign", "sgn", "reciprocal",
    "__rdiv__", "logit", "heaviside", "logaddexp", "hypot", "round", "floor", "ceil", "trunc", "frac", "fmod",
    "remainder", "arctan", "expit", "xlogy", "nan_to_num",
})  # fmt: skip
"""Element-wise and no affine function of what they are given."""
COMPARING = frozenset({
    "gt", "ge", "lt", "le", "eq", "ne", "greater", "greater_equal", "less", "less_equal", "isnan", "signbit",
})  # fmt: skip
"""Element-wise, true or false: a gate, if something is chosen or multiplied by it."""
CHOOSING = frozenset({"where", "masked_fill", "masked_scatter", "__setitem__", "index_put"})
"""Element-wise; an activation where what is chosen by was compared."""
MULTIPLYING = frozenset({"mul", "multiply", "div", "divide", "true_divide", "addcmul", "addcdiv"})
"""Element-wise; an activation where both sides carry values."""
STRAIGHT = frozenset({
    "add", "sub", "subtract", "rsub", "__rsub__", "neg", "negative", "lerp", "to", "float", "double", "half",
    "bfloat16", "type", "type_as", "clone", "detach", "contiguous", "data", "positive", "logical_not", "logical_and",
    "logical_or", "bitwise_not", "bitwise_and", "bitwise_or", "bool", "int", "long", "alias", "copy",
})  # fmt: skip
"""Element-wise and affine."""
ELEMENTWISE = BENDING | COMPARING | CHOOSING | MULTIPLYING | STRAIGHT
RESHAPES = frozenset({
    "view", "reshape", "flatten", "unflatten", "view_as", "reshape_as", "squeeze", "unsqueeze", "_unsafe_view",
    "atleast_2d", "atleast_3d", "ravel",
})  # fmt: skip
"""The same values in the same order of memory."""
MOVES = frozenset({
    "permute", "transpose", "swapaxes", "swapdims", "movedim", "moveaxis", "t", "T", "mT", "H", "mH", "adjoint",
    "__getitem__", "narrow", "select", "chunk", "split", "unbind", "tensor_split", "hsplit", "vsplit", "dsplit",
    "split_with_sizes", "expand", "expand_as", "repeat", "repeat_interleave", "tile", "flip", "fliplr", "flipud",
    "roll", "rot90", "index_select", "channel_shuffle", "native_channel_shuffle", "unfold", "diagonal", "tril", "triu",
    "broadcast_to", "as_strided", "take_along_dim",
})  # fmt: skip
"""Values are moved, left out or repeated."""
JOINS = frozenset({"cat", "concat", "concatenate", "stack", "hstack", "vstack", "dstack"})
DROPOUTS = frozenset({"dropout", "dropout1d", "dropout2d", "dropout3d", "feature_dropout", "alpha_dropout"})
KEEPING = RESHAPES | DROPOUTS | frozenset({
    "permute", "transpose", "swapaxes", "swapdims", "movedim", "moveaxis", "t", "T", "mT", "contiguous", "clone",
    "detach", "to", "float", "double", "half", "bfloat16", "type_as", "type", "data", "alias",
})  # fmt: skip
"""As many values come out as went in, and the same ones: what comes out is another name of what went in."""
REDUCTIONS = frozenset({
    "mean", "sum", "amax", "amin", "max", "min", "std", "var", "prod", "norm", "logsumexp", "median", "any", "all",
    "argmax", "argmin", "nansum", "nanmean", "nanmedian", "count_nonzero", "vector_norm", "std_mean", "var_mean",
})  # fmt: skip
"""Axes are dropped."""
STATISTICS = frozenset({"pow", "square", "abs", "exp", "sqrt", "absolute"})
"""Read by a reduction these are a norm, a variance or a softmax written by hand, and no activation."""
SCALES = STATISTICS | {"rsqrt", "reciprocal", "__rdiv__"}
"""Of a smaller tensor that the values are multiplied by, these are a norm written by hand."""
FORM_ONLY = frozenset({"expand_as", "view_as", "reshape_as", "type_as", "broadcast_to", "to"})
"""Of their further arguments only the form counts."""
VALUELESS = ("new_", "empty", "zeros", "ones", "full", "rand", "is_", "size", "shape")
"""How names begin that put out values which do not depend on those of their arguments."""
SILENT = frozenset({
    "size", "dim", "ndimension", "numel", "nelement", "stride", "storage_offset", "is_floating_point", "is_complex",
    "is_contiguous", "is_inference", "element_size", "get_device", "__len__", "__bool__", "__int__", "__float__",
    "__index__", "item", "tolist", "__repr__", "__format__", "__hash__", "__contains__", "has_names", "is_same_size",
    "untyped_storage", "data_ptr", "result_type", "broadcast_shapes", "is_tensor", "is_pinned", "is_conj", "is_neg",
    "is_signed", "register_hook", "backward", "requires_grad_", "retain_grad", "__dir__", "equal", "allclose",
})  # fmt: skip
"""They put out no tensor and write to none."""
_PROPERTIES = frozenset({"T", "mT", "H", "mH", "data", "real", "imag"})


def name_of(func: Any) -> str:
    """The plain name of a torch function: without the underscore of in-place forms; "" for what makes no tensor."""
    name = getattr(func, "__name__", "")
    if name == "__get__":
        name = getattr(getattr(func, "__self__", None), "__name__", "")
        return name if name in _PROPERTIES else ""
    if name in SILENT:
        return ""
    if name == "_threshold":  # torch's own name for functional.threshold
        return "threshold"
    if name.startswith("__") and name.endswith("__"):
        return {"__iadd__": "add", "__imul__": "mul", "__isub__": "sub", "__itruediv__": "div"}.get(name, name)
    return name.removesuffix("_")


def is_valueless(name: str) -> bool:
    """Whether the values that come out do not depend on those that go in."""
    return name.endswith("_like") or name.startswith(VALUELESS)
