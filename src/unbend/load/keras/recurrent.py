"""Recurrent layers of Keras as those of torch, whose gates stand in another order."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from unbend.load.keras.parts import Part, Shape, refuse


def weight(variable: Any) -> Tensor:
    """A copy of a variable's values, on the CPU."""
    return variable.value.detach().cpu().float().clone()


def all_states(out: tuple[Tensor, Any]) -> Tensor:
    """The state after every time step [n, t, d]."""
    return out[0]


def last_state(out: tuple[Tensor, Any]) -> Tensor:
    """The state after the last time step [n, d]."""
    return out[0][:, -1]


def both_last_states(out: tuple[Tensor, Any]) -> Tensor:
    """The states that each direction ends with [n, 2 d]."""
    width = out[0].shape[2] // 2
    return torch.cat((out[0][:, -1, :width], out[0][:, 0, width:]), 1)


def join(both: Tensor, *, mode: str) -> Tensor:
    """The two directions, which stand side by side, as one."""
    forth, back = both.chunk(2, -1)
    return forth * back if mode == "mul" else (forth + back) / (2 if mode == "ave" else 1)


_KINDS: dict[str, tuple[Callable[..., nn.RNNBase], tuple[int, ...]]] = {
    "LSTM": (nn.LSTM, (0, 1, 2, 3)),  # input, forget, cell and output gate in both
    "GRU": (nn.GRU, (1, 0, 2)),  # torch has the reset gate before the update gate
    "SimpleRNN": (nn.RNN, (0,)),
}
"""What torch calls a layer, and in which order it has Keras's gates."""


def _one_way(layer: Any, _shape: Shape) -> list[Part]:
    if layer.go_backwards:
        raise refuse(layer, "goes backwards")
    return [_translate((layer,)), all_states if layer.return_sequences else last_state]


def _both_ways(layer: Any, _shape: Shape) -> list[Part]:
    forth, back = layer.forward_layer, layer.backward_layer
    is_alike = type(forth) is type(back) and forth.units == back.units and back.go_backwards and not forth.go_backwards
    if not is_alike or layer.merge_mode not in ("concat", "sum", "mul", "ave"):
        raise refuse(layer, "goes both ways in layers of two kinds, or puts out both")
    parts = [_translate((forth, back)), all_states if forth.return_sequences else both_last_states]
    return parts if layer.merge_mode == "concat" else [*parts, partial(join, mode=layer.merge_mode)]


def _translate(layers: Sequence[Any]) -> nn.RNNBase:
    """A recurrent layer, or two that go both ways, with the gates in torch's order."""
    layer = layers[0]
    if type(layer).__name__ not in _KINDS:
        raise refuse(layer, "is recurrent in a way of its own")
    kind, order = _KINDS[type(layer).__name__]
    for one in layers:
        _check(one)
    made = kind(
        weight(layer.cell.kernel).shape[0], layer.units, batch_first=True, bias=layer.use_bias,
        bidirectional=len(layers) == 2,
    )  # fmt: skip
    for one, end in zip(layers, ("", "_reverse"), strict=False):
        kernel = weight(one.cell.kernel)
        fill = {"weight_ih_l0": kernel.T, "weight_hh_l0": weight(one.cell.recurrent_kernel).T}
        if one.use_bias:
            bias = weight(one.cell.bias).reshape(-1, kernel.shape[1])  # a GRU has one for each kernel
            fill |= {"bias_ih_l0": bias[0], "bias_hh_l0": bias[1] if len(bias) > 1 else torch.zeros_like(bias[0])}
        with torch.no_grad():
            for name, value in fill.items():
                gates = value.chunk(len(order))
                getattr(made, name + end).copy_(torch.cat([gates[i] for i in order]))
    return made


def _check(layer: Any) -> None:
    """Refuse what torch's cells do not do."""
    usual = {"activation": "tanh", "recurrent_activation": "sigmoid"}
    for what, name in usual.items():
        found = getattr(getattr(layer, what, None), "__name__", name)
        if found != name:
            raise refuse(layer, f"has the {what} {found!r}")
    if layer.return_state or layer.stateful:
        raise refuse(layer, "returns its state or keeps it")
    if not getattr(layer, "reset_after", True):
        raise refuse(layer, "resets before it multiplies")


RECURRENT: dict[str, Callable[[Any, Shape], list[Part]]] = {
    "LSTM": _one_way, "GRU": _one_way, "SimpleRNN": _one_way, "Bidirectional": _both_ways,
}  # fmt: skip
