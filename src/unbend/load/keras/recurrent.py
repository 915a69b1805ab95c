"""Recurrent layers of Keras as those of torch, whose gates stand in another order."""

from collections.abc import Callable
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


def _lstm(layer: Any, _shape: Shape) -> list[Part]:
    return _translate(layer, nn.LSTM, (0, 1, 2, 3))  # input, forget, cell and output gate in both


def _gru(layer: Any, _shape: Shape) -> list[Part]:
    if not layer.reset_after:
        raise refuse(layer, "resets before it multiplies")
    return _translate(layer, nn.GRU, (1, 0, 2))  # torch has the reset gate before the update gate


def _simple(layer: Any, _shape: Shape) -> list[Part]:
    return _translate(layer, nn.RNN, (0,))


def _translate(layer: Any, kind: Callable[..., nn.RNNBase], order: tuple[int, ...]) -> list[Part]:
    """A recurrent layer, its gates put in torch's order."""
    usual = {"activation": "tanh", "recurrent_activation": "sigmoid"}
    for what, name in usual.items():
        found = getattr(getattr(layer, what, None), "__name__", name)
        if found != name:
            raise refuse(layer, f"has the {what} {found!r}")
    if layer.go_backwards or layer.return_state or layer.stateful:
        raise refuse(layer, "goes backwards, returns its state or keeps it")
    cell = layer.cell
    kernel = weight(cell.kernel)
    made = kind(len(kernel), layer.units, batch_first=True, bias=layer.use_bias)
    fill = {"weight_ih_l0": kernel.T, "weight_hh_l0": weight(cell.recurrent_kernel).T}
    if layer.use_bias:
        bias = weight(cell.bias).reshape(-1, kernel.shape[1])  # a GRU has one for each kernel
        fill |= {"bias_ih_l0": bias[0], "bias_hh_l0": bias[1] if len(bias) > 1 else torch.zeros_like(bias[0])}
    with torch.no_grad():
        for name, value in fill.items():
            gates = value.chunk(len(order))
            getattr(made, name).copy_(torch.cat([gates[i] for i in order]))
    return [made, all_states if layer.return_sequences else last_state]


RECURRENT: dict[str, Callable[[Any, Shape], list[Part]]] = {"LSTM": _lstm, "GRU": _gru, "SimpleRNN": _simple}
