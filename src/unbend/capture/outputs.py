"""The tensor in what a module returns: a tensor, a tuple, a mapping, a packed sequence."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence, pad_packed_sequence

_FIRST = ("logits", "last_hidden_state", "pooler_output", "output", "out", "prediction")


@dataclass(frozen=True, slots=True, eq=False)
class Output:
    """One tensor of a module's output, and which it was.

    Attributes:
        tensor: the tensor.
        key: how it was picked: "" for a plain tensor, else `[0]` or a mapping's key.
        mask: for a packed sequence, true where a token counts [n, t].
    """

    tensor: Tensor
    key: str = ""
    mask: Tensor | None = None


def tensor_of(output: Any) -> Output | None:
    """The tensor of an output: itself, the first of a tuple, the best known key of a mapping; None if there is none."""
    if isinstance(output, Tensor):
        return Output(output)
    if isinstance(output, PackedSequence):
        padded, length = pad_packed_sequence(output, batch_first=True)
        mask = torch.arange(padded.shape[1])[None, :] < length[:, None]
        return Output(padded, "packed", mask)
    if isinstance(output, Mapping):
        keys = [k for k in _FIRST if k in output] + [k for k in output if k not in _FIRST]
        pairs = ((f"[{key!r}]", output[key]) for key in keys)
    elif isinstance(output, (tuple, list)):
        pairs = ((f"[{i}]", value) for i, value in enumerate(output))
    else:
        return None
    for key, value in pairs:
        found = tensor_of(value)
        if found is not None and found.tensor.is_floating_point():
            return Output(found.tensor, key + (found.key if found.key != "packed" else ""), found.mask)
    return None


def call(model: Any, inputs: Any) -> Any:
    """Run a model: a tensor as its one argument, a tuple as arguments, a mapping as keywords."""
    if isinstance(inputs, Mapping):
        return model(**inputs)
    if isinstance(inputs, (tuple, list)):
        return model(*inputs)
    return model(inputs)
