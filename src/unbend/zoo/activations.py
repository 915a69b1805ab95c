"""Activation functions: every elementwise one of torch, a few of the field, and yours.

In: a name or a function. Out: an `Activation` (module, range, what is known of it) or its `Curve`
(values and derivative on a grid). This module must not know networks, data or drawing.
"""

import difflib
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float64
from torch import Tensor, nn

from unbend._one_line import in_one_line
from unbend.errors import DataError, ModelError

INF = math.inf


class Elementwise(nn.Module):
    """A module around a function of a tensor, so that any function can stand between two Linear layers."""

    def __init__(self, function: Callable[[Tensor], Tensor], name: str) -> None:
        super().__init__()
        self.function = function
        self.name = name

    def forward(self, z: Tensor) -> Tensor:
        """The function of `z`."""
        return self.function(z)

    def extra_repr(self) -> str:
        """The name of the function."""
        return self.name


@dataclass(frozen=True, slots=True)
class Activation:
    """An activation function with what is known about it.

    Attributes:
        name: how it is called here.
        module: makes a fresh module of it.
        low: greatest lower bound of its values over all real numbers.
        high: least upper bound.
        is_piecewise_linear: whether it bends at finitely many points and is affine between them.
        is_polynomial: whether it is a polynomial; exactly these cannot approximate every continuous function
            (Leshno et al. 1993).
        is_elementwise: whether each value depends on one input only (not so for softmax).
    """

    name: str
    module: Callable[[], nn.Module]
    low: float
    high: float
    is_piecewise_linear: bool = False
    is_polynomial: bool = False
    is_elementwise: bool = True

    __repr__ = in_one_line

    def __call__(self, z: Tensor) -> Tensor:
        """The values at `z`, as in evaluation mode."""
        return self.module().to(z).requires_grad_(requires_grad=False).eval()(z)


@dataclass(frozen=True, slots=True, eq=False)
class Curve:
    """An activation function and its derivative on a grid.

    Attributes:
        name: of the activation.
        z: the grid of pre-activations.
        value: the function there.
        derivative: what autograd gives there; at a kink this is torch's choice, 0 for ReLU at 0.
    """

    name: str
    z: Float64[np.ndarray, "n"]
    value: Float64[np.ndarray, "n"]
    derivative: Float64[np.ndarray, "n"]

    __repr__ = in_one_line


def _of(name: str, function: Callable[[Tensor], Tensor]) -> Callable[[], nn.Module]:
    return lambda: Elementwise(function, name)


def _swish(z: Tensor) -> Tensor:
    return z * torch.sigmoid(z)


# Minima without a closed form, to float64: z σ(z), the Gaussian z Φ(z), z tanh(softplus(z)).
_SILU_LOW = -0.27846454276107374
_GELU_LOW = -0.16997120747990369
_MISH_LOW = -0.30884341301725816
_SELU_LOW = -1.0507009873554805 * 1.6732632423543772
_LEAKY, _BOTH_WAYS = {"low": -INF, "high": INF, "is_piecewise_linear": True}, {"low": -INF, "high": INF}

_ALL = (
    Activation("identity", nn.Identity, is_polynomial=True, **_LEAKY),
    Activation("relu", nn.ReLU, 0.0, INF, is_piecewise_linear=True),
    Activation("relu6", nn.ReLU6, 0.0, 6.0, is_piecewise_linear=True),
    Activation("leaky_relu", nn.LeakyReLU, **_LEAKY),
    Activation("prelu", nn.PReLU, **_LEAKY),
    Activation("rrelu", nn.RReLU, **_LEAKY),
    Activation("hardtanh", nn.Hardtanh, -1.0, 1.0, is_piecewise_linear=True),
    Activation("hardsigmoid", nn.Hardsigmoid, 0.0, 1.0, is_piecewise_linear=True),
    Activation("hardshrink", nn.Hardshrink, **_LEAKY),
    Activation("softshrink", nn.Softshrink, **_LEAKY),
    Activation("threshold", lambda: nn.Threshold(0.0, 0.0), 0.0, INF, is_piecewise_linear=True),
    Activation("sigmoid", nn.Sigmoid, 0.0, 1.0),
    Activation("tanh", nn.Tanh, -1.0, 1.0),
    Activation("softsign", nn.Softsign, -1.0, 1.0),
    Activation("logsigmoid", nn.LogSigmoid, -INF, 0.0),
    Activation("softplus", nn.Softplus, 0.0, INF),
    Activation("tanhshrink", nn.Tanhshrink, **_BOTH_WAYS),
    Activation("elu", nn.ELU, -1.0, INF),
    Activation("celu", nn.CELU, -1.0, INF),
    Activation("selu", nn.SELU, _SELU_LOW, INF),
    Activation("gelu", nn.GELU, _GELU_LOW, INF),
    Activation("silu", nn.SiLU, _SILU_LOW, INF),
    Activation("swish", _of("swish", _swish), _SILU_LOW, INF),
    Activation("mish", nn.Mish, _MISH_LOW, INF),
    Activation("hardswish", nn.Hardswish, -0.375, INF),
    Activation("sine", _of("sine", torch.sin), -1.0, 1.0),
    Activation("cosine", _of("cosine", torch.cos), -1.0, 1.0),
    Activation("gaussian", _of("gaussian", lambda z: torch.exp(-z * z)), 0.0, 1.0),
    Activation("abs", _of("abs", torch.abs), 0.0, INF, is_piecewise_linear=True),
    Activation("step", _of("step", lambda z: (z > 0).to(z.dtype)), 0.0, 1.0, is_piecewise_linear=True),
    Activation("square", _of("square", torch.square), 0.0, INF, is_polynomial=True),
    Activation("cube", _of("cube", lambda z: z**3), is_polynomial=True, **_BOTH_WAYS),
    Activation("softmax", lambda: nn.Softmax(-1), 0.0, 1.0, is_elementwise=False),
    Activation("softmin", lambda: nn.Softmin(-1), 0.0, 1.0, is_elementwise=False),
    Activation("log_softmax", lambda: nn.LogSoftmax(-1), -INF, 0.0, is_elementwise=False),
    Activation("glu", lambda: nn.GLU(-1), is_elementwise=False, **_BOTH_WAYS),
)

ACTIVATIONS: dict[str, Activation] = {activation.name: activation for activation in _ALL}
"""Every activation by name."""


def activation(of: str | Activation | Callable[[Tensor], Tensor]) -> Activation:
    """The activation that a name or a function stands for.

    Of a function of your own, range and piecewise linearity are measured, not proven: the values on a grid of
    some 10,000 points from -10^4 to 10^4, and whether the derivative takes at most 32 values there.

    Args:
        of: a name of `ACTIVATIONS`, an `Activation`, or an elementwise function of a tensor.

    Raises:
        ModelError: a name that is not there.
        DataError: a function that does not keep the shape, or is not finite on the grid.

    Example:
        >>> bent = activation(lambda z: (z + 1).abs() - 1)
        >>> bent.is_piecewise_linear, bent.low
        (True, -1.0)
    """
    if isinstance(of, Activation):
        return of
    if callable(of):
        return _measure(of)
    if of in ACTIVATIONS:
        return ACTIVATIONS[of]
    near = difflib.get_close_matches(of, ACTIVATIONS, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    message = f"activation: no activation named {of!r}. There are: {', '.join(ACTIVATIONS)}.{hint}"
    raise ModelError(message)


def curve(of: str | Activation | Callable[[Tensor], Tensor], z: Float64[Tensor, "n"]) -> Curve:
    """An activation and its derivative on a grid, the derivative by autograd.

    Args:
        of: a name of `ACTIVATIONS`, an `Activation`, or an elementwise function of a tensor.
        z: the grid of pre-activations.

    Raises:
        DataError: an activation that is not elementwise, such as softmax.

    Example:
        >>> curve("relu", torch.tensor([-1.0, 0.0, 2.0], dtype=torch.float64)).derivative
        array([0., 0., 1.])
    """
    chosen = activation(of)
    if not chosen.is_elementwise:
        message = f"activation: {chosen.name} mixes its inputs, so it has no curve. Use an elementwise one."
        raise DataError(message)
    at = z.detach().clone().requires_grad_()
    value = chosen(at)
    slope = torch.zeros_like(at)
    if value.requires_grad:
        (slope,) = torch.autograd.grad(value.sum(), at)
    return Curve(chosen.name, z.numpy(), value.detach().numpy(), slope.numpy())


def _measure(function: Callable[[Tensor], Tensor]) -> Activation:
    name = getattr(function, "__name__", type(function).__name__)
    positive = torch.logspace(-4, 4, 4000, dtype=torch.float64)
    z = torch.cat([-positive, torch.linspace(-8, 8, 2049, dtype=torch.float64), positive]).unique()
    plain = Activation(name, _of(name, function), -INF, INF)
    value = plain(z)
    if value.shape != z.shape or not bool(value.isfinite().all()):
        message = (
            f"activation: expected an elementwise function that is finite on [-1e4, 1e4], got {name}, "
            f"which gives shape {tuple(value.shape)} for {tuple(z.shape)} or is not finite."
        )
        raise DataError(message)
    slopes = np.unique(curve(plain, z).derivative.round(9))
    return Activation(
        name,
        plain.module,
        low=_limit(value, value.min()),
        high=_limit(value, value.max()),
        is_piecewise_linear=len(slopes) <= 32,
    )


def _limit(value: Tensor, extreme: Tensor) -> float:
    """The extreme value on the grid, infinite where the function is still on its way at the grid's end.

    Leaving the grid with a slope of at least 1/1000 of its scale counts as on its way.
    """
    ends = value[[0, -1]]
    inner = value[[40, -41]]
    still_moving = (ends == extreme) & ((ends - inner).abs() > 1e-3 * ends.abs().clamp_min(1.0))
    return math.copysign(INF, float(extreme)) if bool(still_moving.any()) else float(extreme)
