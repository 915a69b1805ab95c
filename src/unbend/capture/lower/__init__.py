"""A module as plain arrays: `lower(model, input_shape)` gives a `PiecewiseAffine`.

In: an `nn.Module` made of affine operations and continuous piecewise-linear activations. Out: arrays. Must
not know planes. What is something else is refused by name, with the reason. The model is run once on a symbolic tensor
in evaluation mode; it is not changed.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from scipy.sparse import csr_array, eye_array
from torch import nn

from unbend.capture.lower.activations import PiecewiseCurve, piecewise_linear
from unbend.capture.lower.trace import Symbol, Trace, shape_of, symbol
from unbend.errors import LayerError, ModelError, UnbendError
from unbend.numerics.piecewise import PiecewiseAffine

Custom = Mapping[type[nn.Module], PiecewiseCurve]


class _ReachedError(Exception):
    """The layer asked for has answered."""


def lower(
    model: nn.Module,
    input_shape: tuple[int, ...],
    *,
    layer: str | None = None,
    custom: Custom | None = None,
) -> PiecewiseAffine:
    """The network as stages of hinges, weights in float64.

    Args:
        model: an `nn.Module` that runs in Python.
        input_shape: the shape of one sample, without the batch axis.
        layer: stop after this layer, whose output becomes the network's. The whole model if not given.
        custom: for your own activation modules, the curve they apply to every element.

    Raises:
        UnsupportedError: something in the model is not continuous and piecewise linear.
        LayerError: there is no such layer, or it did not run.
        ModelError: the model is not an `nn.Module` that runs in Python, or returns no tensor.

    Cost:
        One pass in Python; a convolution becomes a sparse matrix of outputs x kernel numbers.

    Example:
        >>> net = lower(nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1)), (2,))
        >>> net.n_hinges, net.groups[0].name
        (3, '1')
    """
    if not isinstance(model, nn.Module) or isinstance(model, torch.jit.ScriptModule):
        raise ModelError(
            f"model: expected an nn.Module that runs in Python, got {type(model).__name__}. "
            "Pass the module itself, before scripting."
        )
    names = {name for name, _ in model.named_modules()}
    if layer is not None and layer not in names:
        raise LayerError(f"layer: no layer named '{layer}'. It has: {', '.join(sorted(names - {''}))}.")
    n = int(np.prod(input_shape))
    trace = Trace(n)
    rows = csr_array(eye_array(n, 1 + n, k=1, format="csr"))
    output = _run(model, symbol(trace, rows, (1, *input_shape)), layer, custom or {})
    if not isinstance(output, Symbol):
        raise ModelError(
            f"model: expected it to return one tensor that depends on its input, got {type(output).__name__}. "
            "Name a layer to stop after, or wrap the model."
        )
    return trace.finish(output.rows, input_shape)


def _run(model: nn.Module, x: Symbol, layer: str | None, custom: Custom) -> Any:
    """The model's output, or that of the layer."""
    reached: list[Any] = []
    with (
        _evaluating(model),
        _watched(model, x.tracer, layer, reached),
        _replace_activations(model, custom),
        torch.no_grad(),
    ):
        try:
            output = model(x)
        except _ReachedError:
            return reached[0]
        except UnbendError:
            raise
        except (RuntimeError, ValueError, IndexError) as error:
            raise ModelError(
                f"model: it does not run on one sample of shape {shape_of(x)[1:]}: {error}. "
                "Check the shape of a sample."
            ) from error
    if layer is not None and layer != "":
        raise LayerError(f"layer: '{layer}' did not run in the forward pass. Choose one that does.")
    return output


@contextmanager
def _evaluating(model: nn.Module) -> Iterator[None]:
    """Evaluation mode, and every module's own mode afterwards."""
    modes = {module: module.training for module in model.modules()}
    model.eval()
    try:
        yield
    finally:
        for module, mode in modes.items():
            module.training = mode


@contextmanager
def _watched(model: nn.Module, trace: Trace, layer: str | None, reached: list[Any]) -> Iterator[None]:
    """The trace knows which module runs; the run ends after the layer asked for."""
    handles = []
    for name, module in model.named_modules():
        is_container = any(True for _ in module.children())
        handles.append(module.register_forward_pre_hook(_enter(trace, name, is_container=is_container)))
        handles.append(module.register_forward_hook(_leave(trace, reached, is_last=name == layer)))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _enter(trace: Trace, name: str, *, is_container: bool) -> Callable[..., None]:
    def hook(*_: Any) -> None:
        trace.running.append((name, is_container))

    return hook


def _leave(trace: Trace, reached: list[Any], *, is_last: bool) -> Callable[..., None]:
    def hook(_module: nn.Module, _inputs: Any, output: Any) -> None:
        trace.running.pop()
        if is_last:
            reached.append(output)
            raise _ReachedError

    return hook


@contextmanager
def _replace_activations(model: nn.Module, custom: Custom) -> Iterator[None]:
    """The user's own activations answer with their curve for as long as the run lasts."""
    modules = [(module, custom[type(module)]) for module in model.modules() if type(module) in custom]
    for module, curve in modules:
        module.__dict__["forward"] = _forward_of(type(module).__name__, curve)
    try:
        yield
    finally:
        for module, _ in modules:
            del module.__dict__["forward"]


def _forward_of(name: str, curve: PiecewiseCurve) -> Callable[[Symbol], Symbol]:
    def forward(x: Symbol) -> Symbol:
        return piecewise_linear(x, name, list(curve.breakpoints), list(curve.slopes), curve.value)

    return forward


__all__ = ["Custom", "PiecewiseCurve", "lower"]
