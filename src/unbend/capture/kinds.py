"""What a module is, by its class: the few kinds that decide whether and how it is looked at."""

import copy
from collections.abc import Callable
from typing import Literal, TypeAlias

import torch
from torch import Tensor, nn
from torch.nn.modules import activation, batchnorm, conv, instancenorm, pooling

Kind: TypeAlias = Literal[
    "input", "affine", "embedding", "norm", "activation", "attention", "recurrent", "pool", "block",
    "function", "output", "container", "other",
]  # fmt: skip

_NOT_ELEMENTWISE = (
    nn.MultiheadAttention, nn.Softmax, nn.Softmax2d, nn.Softmin, nn.LogSoftmax, nn.GLU,
)  # fmt: skip
_ACTIVATIONS = tuple(
    value
    for value in vars(activation).values()
    if isinstance(value, type) and value.__module__ == activation.__name__ and value not in _NOT_ELEMENTWISE
)
_NORMS = (batchnorm._NormBase, instancenorm._InstanceNorm, nn.LayerNorm, nn.GroupNorm, nn.LocalResponseNorm)
_POOLS = tuple(
    value for value in vars(pooling).values() if isinstance(value, type) and value.__module__ == pooling.__name__
)
_CONTAINERS = (nn.Sequential, nn.ModuleList, nn.ModuleDict, nn.ParameterList, nn.ParameterDict)
_SILENT = (
    nn.Identity,
    nn.Flatten,
    nn.Unflatten,
    nn.Upsample,
    nn.PixelShuffle,
    nn.PixelUnshuffle,
    nn.ZeroPad2d,
)
_CHANNELS_SECOND = (conv._ConvNd, batchnorm._NormBase, instancenorm._InstanceNorm, nn.GroupNorm, *_POOLS)
_CHANNELS_LAST = (nn.Linear, nn.LayerNorm, nn.Embedding, nn.MultiheadAttention, nn.RNNBase)

FUNCTIONS = frozenset({
    "relu", "relu6", "tanh", "sigmoid", "gelu", "silu", "leaky_relu", "elu", "selu", "celu", "softplus",
    "mish", "hardswish", "hardtanh", "hardsigmoid", "logsigmoid", "softsign", "tanhshrink", "prelu", "rrelu",
    "threshold", "hardshrink", "softshrink",
})  # fmt: skip
"""Functional activations that are seen when `forward` calls them (their in-place forms too)."""


def kind_of(module: nn.Module) -> Kind:
    """What a module is.

    A leaf without parameters that acts elementwise and bends (a user's own activation) counts as an
    activation; a copy of it is run once on a small grid to find out. A leaf of unknown class with parameters
    counts as a block.
    """
    made_as = original_class(module)
    if issubclass(made_as, _CONTAINERS):
        return "container"
    for kinds, name in (
        ((nn.Linear, nn.Bilinear, conv._ConvNd), "affine"),
        ((nn.Embedding, nn.EmbeddingBag), "embedding"),
        (_ACTIVATIONS, "activation"),
        (_NORMS, "norm"),
        ((nn.MultiheadAttention,), "attention"),
        ((nn.RNNBase, nn.RNNCellBase), "recurrent"),
        (_POOLS, "pool"),
        ((*_NOT_ELEMENTWISE, *_SILENT), "other"),
    ):
        if issubclass(made_as, kinds):
            return name  # type: ignore[return-value]
    return _by_name(module, made_as.__name__)


def original_class(module: nn.Module) -> type:
    """The class a module was made as: for the stand-ins of a `torch.export` archive, the torch class they stand for."""
    told = getattr(module, "type_name", None) if type(module).__name__ == "InterpreterModule" else None
    name = told() if callable(told) else None
    if not isinstance(name, str) or not name.startswith("torch.nn."):
        return type(module)
    found = getattr(nn, name.rsplit(".", 1)[-1], None)
    return found if isinstance(found, type) else type(module)


def _by_name(module: nn.Module, name: str) -> Kind:
    is_leaf = next(module.children(), None) is None
    if "Dropout" in name:
        return "other"
    if name.endswith("Norm") or (is_leaf and "Norm" in name and next(module.buffers(), None) is not None):
        return "norm"
    if name == "Conv1D":
        return "affine"
    if name.endswith("Attention") and not is_leaf:
        return "attention"
    if not is_leaf or next(module.parameters(), None) is not None:
        return "block"
    return "activation" if _bends(module) else "other"


def _bends(module: nn.Module) -> bool:
    """Whether a leaf without buffers is an elementwise function that is no affine map."""
    if next(module.buffers(), None) is not None:
        return False
    grid = torch.linspace(-6.0, 6.0, 25).reshape(1, 25)
    try:
        # A shallow copy, and `forward` itself: what the module notes down, and its hooks, are the user's.
        out, part = (copy.copy(module).forward(z.clone()) for z in (grid, grid[:, 3:20]))
    except Exception:  # noqa: BLE001  a user's module may raise anything on a tensor it does not expect
        return False
    if not isinstance(out, Tensor) or not isinstance(part, Tensor) or out.shape != grid.shape:
        return False
    if part.shape != (1, 17) or not torch.allclose(out[:, 3:20], part, atol=1e-6):
        return False
    return not torch.allclose(out[0, 2:] - 2 * out[0, 1:-1] + out[0, :-2], torch.zeros(23), atol=1e-5)


def channels(module: nn.Module | None) -> Literal["second", "last"] | None:
    """Where a module keeps its channels; None where that depends on what it is fed."""
    made_as = type(None) if module is None else original_class(module)
    if issubclass(made_as, _CHANNELS_SECOND):
        return "second"
    if issubclass(made_as, _CHANNELS_LAST) or made_as.__name__ in {"Conv1D", "RMSNorm"}:
        return "last"
    return None


def elementwise(module: nn.Module) -> Callable[[Tensor], Tensor] | None:
    """A module's activation as a function of one float64 tensor; None where it is not elementwise or has parameters."""
    if next(module.parameters(), None) is not None or issubclass(original_class(module), nn.RReLU):
        return None
    return lambda z: copy.copy(module).forward(z.clone())
