"""A Keras network as one module: its layers in the order in which Keras calls them, with branches and shared layers.

In: a Sequential or functional model on the torch backend, built. Out: a `KerasNet` that puts out the same numbers.
"""

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from unbend.errors import UnsupportedError
from unbend.load.keras.layers import LAYERS, attention
from unbend.load.keras.parts import MERGES, Part, Shape, refuse, to_first, to_last

ATTENTION = "MultiHeadAttention"
NESTED = ("Functional", "Model", "Sequential")
"""Classes of models, which may be layers of others."""
_CLOSE = 1e-4
"""Largest difference of outputs, in units of the largest output, that rounding may make."""
_FREE = 16
"""What a free size is taken for when outputs are compared."""


@dataclass(frozen=True, slots=True)
class LayerCall:
    """One call in a translated network.

    Attributes:
        name: of the module that is called; "" for a function.
        function: what is called where it is no module.
        takes: places of what it takes.
        gives: place of what it puts out.
    """

    name: str
    function: Part | None
    takes: tuple[int, ...]
    gives: int


class KerasNet(nn.Module):
    """A Keras network as modules of torch, each under the name of its layer.

    It takes what the Keras model takes, images channels last, and has channels first inside and at its output.

    Args:
        modules: by name.
        steps: in the order of their calls; inputs stand at the places 0, 1, ….
        gives: places of the outputs.
    """

    def __init__(self, modules: Mapping[str, nn.Module], steps: Sequence[LayerCall], gives: Sequence[int]) -> None:
        super().__init__()
        for name, module in modules.items():
            self.add_module(name, module)
        self._steps, self._gives = tuple(steps), tuple(gives)

    def forward(self, *inputs: Tensor) -> Any:
        """The outputs of the network: a tensor, or several."""
        values: dict[int, Any] = dict(enumerate(inputs))
        for step in self._steps:
            part = step.function or self._modules[step.name]
            values[step.gives] = part(*[values[i] for i in step.takes])  # type: ignore[misc]
        found = tuple(values[i] for i in self._gives)
        return found[0] if len(found) == 1 else found


def is_keras(model: object) -> bool:
    """Whether a model is one of Keras; Keras is not imported for it."""
    keras = sys.modules.get("keras")
    kind = getattr(keras, "Model", None)
    return isinstance(kind, type) and isinstance(model, kind)


def from_keras(model: Any) -> KerasNet:
    """A Keras model as modules of torch, in evaluation mode; its weights are copies.

    Args:
        model: a built Sequential or functional model.

    Raises:
        UnsupportedError: another backend than torch, a model that is no graph of layers, a layer that is not known.
    """
    backend = sys.modules["keras"].backend.backend()
    if backend != "torch":
        raise UnsupportedError(
            f"keras: the backend is {backend}, whose layers are not torch's. Save the model (model.save('net.keras')) "
            "and give the file, or set KERAS_BACKEND=torch before Keras is imported."
        )
    found = _Translation(is_outer=True).of(model).eval()
    _check(model, found)
    return found


class _Translation:
    """One graph while it is translated."""

    def __init__(self, *, is_outer: bool) -> None:
        self._is_outer = is_outer
        self._modules: dict[str, nn.Module] = {}
        self._steps: list[LayerCall] = []
        self._places: dict[int, int] = {}  # of Keras's symbolic tensors, by their ids
        self._parts: dict[int, list[tuple[str, Part]]] = {}  # of layers, which may be called repeatedly
        self._n = 0

    def of(self, model: Any) -> KerasNet:
        graph = model if hasattr(model, "_nodes_by_depth") else getattr(model, "_functional", None)
        if graph is None:
            raise UnsupportedError(
                f"keras: {model.name!r} ({type(model).__name__}) is no graph of layers, or is not built yet. Give a "
                "Sequential model with an Input, or keras.Model(inputs, outputs)."
            )
        for tensor in graph.inputs:
            self._places[id(tensor)] = self._place()
        if self._is_outer:
            for tensor in graph.inputs:
                take = partial(_take, shape=tuple(tensor.shape), dtype=getattr(torch, tensor.dtype, None))
                self._add(tensor, [("", take)], [self._places[id(tensor)]])
        for node in _calls(graph):
            self._translate(node)
        return KerasNet(self._modules, self._steps, [self._places[id(tensor)] for tensor in graph.outputs])

    def _place(self) -> int:
        self._n += 1
        return self._n - 1

    def _translate(self, node: Any) -> None:
        """Translate one call of a layer."""
        layer, given = node.operation, node.input_tensors
        if is_attention(layer):
            given = _attention_inputs(node)
        shape = tuple(given[0].shape)
        if len(node.output_tensors) != 1 or any(id(tensor) not in self._places for tensor in given):
            raise refuse(layer, "has several outputs, or takes what is no output of a layer")
        if id(layer) not in self._parts:
            parts = (
                attention(layer, [t.shape for t in given]) if is_attention(layer) else _parts(layer, shape, len(given))
            )
            self._parts[id(layer)] = self._with_names(layer, parts)
        self._add(node.output_tensors[0], self._parts[id(layer)], [self._places[id(tensor)] for tensor in given])

    def _with_names(self, layer: Any, parts: Sequence[Part]) -> list[tuple[str, Part]]:
        """Parts with names: the first module has the layer's, its activation `NAME_relu`; functions have none."""
        found: list[tuple[str, Part]] = []
        base = layer.name.replace(".", "_")
        names = iter((base, f"{base}_{getattr(getattr(layer, 'activation', None), '__name__', 'activation')}"))
        for part in parts:
            name = ""
            if isinstance(part, nn.Module):
                name = next(names)
                while name in self._modules or hasattr(nn.Module, name):
                    name += "_"
                self._modules[name] = part
            found.append((name, part))
        return found

    def _add(self, tensor: Any, parts: Sequence[tuple[str, Part]], takes: list[int]) -> None:
        """Add the steps that make a symbolic tensor of Keras."""
        for name, part in parts:
            gives = self._place()
            self._steps.append(LayerCall(name, None if name else part, tuple(takes), gives))
            takes = [gives]
        self._places[id(tensor)] = takes[0]


def _calls(graph: Any) -> Iterator[Any]:
    """The calls of a graph's layers in an order in which they can be made."""
    by_depth = graph._nodes_by_depth  # noqa: SLF001  Keras has no public name for it
    for depth in sorted(by_depth, reverse=True):
        yield from (node for node in by_depth[depth] if not node.is_input)


def is_attention(layer: Any) -> bool:
    """Whether a layer takes queries, values and keys."""
    return type(layer).__name__ == ATTENTION and type(layer).__module__.startswith("keras.")


def _attention_inputs(node: Any) -> tuple[Any, Any, Any]:
    """What one call of attention takes, as torch has it: query, key, value.

    Raises:
        UnsupportedError: a mask, or shares of attention that are put out too.
    """
    names = dict(zip(("query", "value", "key"), node.arguments.args, strict=False)) | node.arguments.kwargs
    query, value, key = (names.pop(name, None) for name in ("query", "value", "key"))
    if query is None or value is None or any(given is not None and given is not False for given in names.values()):
        raise refuse(node.operation, "has a mask, or puts out its shares of attention")
    return query, value if key is None else key, value


def _parts(layer: Any, shape: Shape, n_given: int) -> Sequence[Part]:
    """One layer, or one operator between layers."""
    kind, home = type(layer).__name__, type(layer).__module__.split(".")[0]
    if kind in NESTED and n_given == len(getattr(layer, "inputs", ())):
        return [_Translation(is_outer=False).of(layer)]
    if home == "keras" and kind in MERGES and n_given > 1:
        return [MERGES[kind](layer, shape)]
    if home != "keras" or kind not in LAYERS or n_given != 1:
        raise refuse(layer)
    return LAYERS[kind](layer, shape)


def _take(x: Tensor, *, shape: Shape, dtype: torch.dtype | None) -> Tensor:
    """An input as Keras takes it: in the model's type, with an axis of one channel where it is left out."""
    if x.ndim == len(shape) - 1 and shape[-1] == 1:
        x = x.unsqueeze(-1)
    if dtype is not None and not (x.is_floating_point() and dtype.is_floating_point):
        x = x.to(dtype)
    return to_first(x)


def _check(model: Any, found: KerasNet) -> None:
    """Refuse a translation that puts out other numbers."""
    g = torch.Generator().manual_seed(0)
    n_words = min((part.num_embeddings for part in found.modules() if isinstance(part, nn.Embedding)), default=0)
    inputs = []
    for tensor in model.inputs:
        shape = (3, *(size or _FREE for size in tensor.shape[1:]))
        inputs.append(torch.randint(n_words, shape, generator=g) if n_words else torch.randn(shape, generator=g))
    with torch.no_grad():
        wanted = model(inputs[0] if len(inputs) == 1 else inputs, training=False)
        got = found(*inputs)
    each = zip(wanted if len(model.outputs) > 1 else [wanted], got if isinstance(got, tuple) else [got], strict=True)
    if not all(_is_close(to_last(mine), its.detach().cpu().float()) for its, mine in each):
        raise UnsupportedError(
            f"keras: some layer of {model.name!r} does something that torch's does not, so that outputs differ. Build "
            "the model in torch."
        )


def _is_close(mine: Tensor, its: Tensor) -> bool:
    return mine.shape == its.shape and torch.allclose(mine, its, rtol=0, atol=_CLOSE * max(1.0, float(its.abs().max())))
