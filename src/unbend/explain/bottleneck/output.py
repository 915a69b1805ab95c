"""Which layer puts out the output: found by running the network, not by the order in which layers were registered.

In: a model and a few inputs. Out: an `OutputLayer`. `narrow_before` puts two units before it, on a copy.
"""

from dataclasses import dataclass
from typing import Any, final

import torch
from torch import Tensor, nn

from unbend.capture import call, tensor_of
from unbend.capture.flow import Flow, Site, flow
from unbend.capture.kinds import kind_of, original_class
from unbend.errors import ModelError
from unbend.zoo import narrow

_SMOOTH = {"softmax", "log_softmax", "sigmoid", "logsigmoid"}
"""Functions behind a layer that leave its order of the classes as it is."""
_PASSED = {"pool", "other", "container", "block", "output"}


@dataclass(frozen=True, slots=True)
class OutputLayer:
    """The layer whose numbers become the output.

    Attributes:
        path: where it is; None where the output is not the output of one layer that can be replaced.
        reason: how the output comes about, in words.
    """

    path: str | None
    reason: str


def output_layer(model: nn.Module, inputs: Any, n: int) -> OutputLayer:
    """The affine layer whose output is the model's, at most pooled, reshaped or put through a softmax afterwards.

    Args:
        model: from `capture.bare`.
        inputs: one batch, as the model takes it.
        n: samples in it.

    Cost:
        One planning pass.

    Example:
        >>> class HeadFirst(nn.Module):
        ...     def __init__(self):
        ...         super().__init__()
        ...         self.head, self.body = nn.Linear(8, 3), nn.Linear(4, 8)
        ...     def forward(self, x):
        ...         return self.head(self.body(x).relu())
        >>> output_layer(HeadFirst(), torch.zeros(5, 4), 5).path
        'head'
    """
    shown = flow(model, inputs, n)
    modules = dict(model.named_modules())
    name = "output"
    while True:
        site = _site(shown, name)
        if site is None:
            words = "the network is one layer" if name.startswith("input") else "what puts the output out was not seen"
            return OutputLayer(None, words)
        path, function, _ = site.place
        if not function and path and _is_affine(modules[path]):
            return OutputLayer(path, f"the output is that of `{path}`")
        stop = _obstacle(site, modules)
        if stop:
            return OutputLayer(None, stop)
        name = site.feeders[0]


def _site(shown: Flow, name: str) -> Site | None:
    return next((site for site in shown.sites if site.name == name), None)


def _is_affine(module: nn.Module) -> bool:
    made_as = original_class(module)
    return kind_of(module) == "affine" and not issubclass(made_as, nn.Bilinear) and "Transpose" not in made_as.__name__


def _obstacle(site: Site, modules: dict[str, nn.Module]) -> str:
    """Why the layer before cannot be taken for the output; nothing if it can."""
    path, function, _ = site.place
    own = [] if site.alias_of is not None else [name for name in site.activations if name not in _SMOOTH]
    if len(site.feeders) != 1:
        return f"the output comes of several layers ({', '.join(site.feeders) or 'none'})"
    if own and not _is_smooth(modules.get(path)):
        return f"the last layer of it that can be seen is `{site.name}`"
    if function or (path and site.alias_of is None and kind_of(modules[path]) not in _PASSED):
        return "" if function in _SMOOTH or _is_smooth(modules.get(path)) else f"the output is that of `{site.name}`"
    return ""


def _is_smooth(module: nn.Module | None) -> bool:
    return isinstance(module, (nn.Softmax, nn.LogSoftmax, nn.Sigmoid, nn.LogSigmoid))


@dataclass(frozen=True, slots=True, eq=False)
class Insertion:
    """A copy of a model with two units before its output.

    Attributes:
        model: the copy.
        layer: path of the two units' layer.
        output: the layer that reads them.
        reason: where they were put, in words.
    """

    model: nn.Module
    layer: str
    output: nn.Module
    reason: str

    @property
    def head(self) -> nn.Module:
        """The new layers."""
        return self.model.get_submodule(self.layer.rpartition(".")[0])


def narrow_before(model: nn.Module, inputs: Any, n: int, *, activation: str | None, seed: int) -> Insertion:
    """A copy of the model with two units before its output.

    Args:
        model: from `capture.bare`.
        inputs: one batch, as the model takes it.
        n: samples in it.
        activation: what the two units bend with; None for nothing.
        seed: of the new layers.
    """
    found = output_layer(model, inputs, n)
    if found.path is None:
        width = _width(model, inputs, n)
        whole: nn.Module = _Behind(model, width)
        reason = f"Two units and a new output layer were put behind the network, since {found.reason}."
        net, layer = narrow(whole, layer="head", activation=activation, seed=seed)
    else:
        reason = f"Two units were put before the output layer: {found.reason}."
        net, layer = narrow(model, layer=found.path, activation=activation, seed=seed)
    output = net.get_submodule(layer.rpartition(".")[0] + ".output")
    return Insertion(net, layer, output, reason)


def _width(model: nn.Module, inputs: Any, n: int) -> int:
    with torch.no_grad():
        found = tensor_of(call(model, inputs))
    if found is None or found.tensor.ndim != 2 or len(found.tensor) != n:
        raise ModelError("model: expected one row of scores for each sample. Let forward return [n, classes].")
    return found.tensor.shape[1]


@final
class _Behind(nn.Module):
    """A network and an affine layer behind its output."""

    def __init__(self, model: nn.Module, width: int) -> None:
        super().__init__()
        self.model = model
        values = next(model.parameters(), torch.zeros(()))
        self.head = nn.Linear(width, width).to(values.device, values.dtype)

    def forward(self, *args: Any, **named: Any) -> Tensor:
        """The output of the head."""
        found = tensor_of(self.model(*args, **named))
        if found is None:
            raise ModelError("model: expected a tensor among its outputs, got none.")
        return self.head(found.tensor)
