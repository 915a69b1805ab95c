"""The tensor in what a module returns: a tensor, a tuple, a mapping, a dataclass, a packed sequence."""

import dataclasses
import traceback
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from inspect import Signature, signature
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pad_packed_sequence

from unbend.errors import ModelError, UnbendError

_PACKAGE = Path(__file__).parents[1]
_LISTENERS = tuple(Path(__file__).parent / name for name in ("taps.py", "hearing.py", "flow/watch.py"))
"""Their frames lie between the model's and torch's wherever torch functions are listened to."""
_FIRST = ("logits", "last_hidden_state", "pooler_output", "output", "out", "prediction")


@dataclass(frozen=True, slots=True, eq=False)
class Output:
    """One tensor of a module's output, and which it was.

    Attributes:
        tensor: the tensor.
        key: how it was picked: "" for a plain tensor, else `[0]`, a mapping's key or a field.
        mask: for a packed sequence, true where a token counts [n, t].
    """

    tensor: Tensor
    key: str = ""
    mask: Tensor | None = None


def tensor_of(output: Any) -> Output | None:
    """The tensor of an output; None if there is none.

    A tensor is itself. Of a tuple it is the first floating-point tensor that is no single number (a loss), of a
    mapping or a dataclass the best known key that holds one, else the first.

    Example:
        >>> found = tensor_of({"loss": torch.tensor(0.5), "logits": torch.ones(2, 3)})
        >>> found.key, tuple(found.tensor.shape)
        ("['logits']", (2, 3))
    """
    if isinstance(output, Tensor):
        return Output(output)
    if isinstance(output, PackedSequence):
        padded, length = pad_packed_sequence(output, batch_first=True)
        mask = (torch.arange(padded.shape[1])[None, :] < length[:, None]).to(padded.device)
        return Output(padded, "packed", mask)
    for key, value in _parts(output):
        found = tensor_of(value)
        if found is not None and found.tensor.is_floating_point() and found.tensor.ndim:
            return Output(found.tensor, key + (found.key if found.key != "packed" else ""), found.mask)
    return None


def as_rows(output: Tensor) -> Tensor:
    """An output with a row for each sample: one number a sample, as behind a `squeeze`, is a row of one.

    Example:
        >>> as_rows(torch.zeros(3)).shape, as_rows(torch.zeros(3, 2)).shape
        (torch.Size([3, 1]), torch.Size([3, 2]))
    """
    return output.unsqueeze(1) if output.ndim == 1 else output


def _parts(output: Any) -> Iterator[tuple[str, Any]]:
    """What a compound output holds, the likeliest first, each with how it is reached."""
    if isinstance(output, Mapping):
        return ((f"[{key!r}]", output[key]) for key in _in_order(output))
    if isinstance(output, tuple) and hasattr(output, "_fields"):
        return ((f".{key}", getattr(output, key)) for key in _in_order(output._fields))
    if isinstance(output, (tuple, list)):
        return ((f"[{i}]", value) for i, value in enumerate(output))
    if dataclasses.is_dataclass(output) and not isinstance(output, type):
        return ((f".{key}", getattr(output, key)) for key in _in_order([f.name for f in dataclasses.fields(output)]))
    return iter(())


def _in_order(keys: Any) -> list[Any]:
    return [k for k in _FIRST if k in keys] + [k for k in keys if k not in _FIRST]


def call(model: Any, inputs: Any) -> Any:
    """Run a model: a tensor as its one argument, a tuple or list as arguments, a mapping as keywords.

    Where forward takes no such arguments but one, a tuple, list or mapping is that one. All else is its one argument.

    Raises:
        ModelError: the model raised; in its own words, with the place. The error itself is the cause.
    """
    try:
        return _call_quietly(model, inputs)
    except UnbendError:
        raise
    except Exception as error:
        files = [(Path(frame.filename), frame.lineno) for frame in traceback.extract_tb(error.__traceback__)]
        mine = max(i for i, (file, _) in enumerate(files) if file == Path(__file__))
        told = [(f, line) for f, line in files[mine + 1 :] if "torch" not in f.parts and f not in _LISTENERS]
        if told and _PACKAGE in told[-1][0].parents:  # raised by a hook of ours
            raise
        said = str(error).strip().partition("\n")[0]
        what = type(error).__name__ + (f": {said}" if said else "")
        place = f" ({told[-1][0].name}, line {told[-1][1]})" if told else ""
        raise ModelError(f"model: it raised {what}{place}. Mend it, or leave out the rows it fails on.") from error


def _call_quietly(model: Any, inputs: Any) -> Any:
    if isinstance(inputs, Mapping):
        whole = bool(inputs) and _takes_whole(model, (), inputs)
        return model(inputs) if whole else model(**inputs)
    if isinstance(inputs, (tuple, list)) and not isinstance(inputs, PackedSequence):
        return model(inputs) if _takes_whole(model, inputs, {}) else model(*inputs)
    return model(inputs)


def _takes_whole(model: Any, args: Sequence[Any], named: Mapping[Any, Any]) -> bool:
    """Whether a forward of the user's own takes a compound batch as its one argument, and not part by part."""
    while isinstance(model, nn.Sequential) and len(model):
        model = model[0]
    forward = getattr(model, "forward", None)
    if forward is None or type(model).__module__.startswith("torch."):
        return False
    try:
        known = signature(forward)
    except (TypeError, ValueError):
        return False
    return not _binds(known, *args, **named) and _binds(known, args or named)


def _binds(known: Signature, *args: Any, **named: Any) -> bool:
    try:
        known.bind(*args, **named)
    except TypeError:
        return False
    return True


def version_of(tensor: Any) -> int:
    """How often a tensor has been written to; -1 where torch does not count."""
    return tensor._version if isinstance(tensor, Tensor) and not tensor.is_inference() else -1  # noqa: SLF001  torch's only count of writes


def identity(tensor: Tensor, version: int) -> tuple[Any, ...]:
    """What tells a tensor apart as long as it is alive: its memory, its form, and how often it had been written to.

    A view that only adds or drops axes of length one has the same identity.
    """
    form = tuple((size, step) for size, step in zip(tensor.shape, tensor.stride(), strict=True) if size != 1)
    return tensor.data_ptr(), tensor.dtype, version, form
