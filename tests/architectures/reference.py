"""Rows and moments of every layer, recomputed plainly: hooks that clone each output, and the declared axes."""

import dataclasses
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from fnmatch import fnmatchcase
from typing import Any

import torch
from tests.architectures.entry import Entry
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pad_packed_sequence
from torch.overrides import TorchFunctionMode

_FIRST = ("logits", "last_hidden_state")


def outputs(net: nn.Module, inputs: Any) -> dict[tuple[str, str], list[Any]]:
    """(path, functional activation or "") → a clone of what every call of it put out."""
    found: dict[tuple[str, str], list[Any]] = defaultdict(list)
    running: list[str] = []

    class Functions(TorchFunctionMode):
        def __torch_function__(self, func, _types, args=(), kwargs=None):
            out = func(*args, **(kwargs or {}))
            if isinstance(out, Tensor) and running:
                found[running[-1], getattr(func, "__name__", "").strip("_")].append(cloned(out))
            return out

    def end(path: str, out: Any) -> None:
        found[path, ""].append(cloned(out))
        running.pop()

    with ExitStack() as stack:
        for path, module in net.named_modules():
            begins = module.register_forward_pre_hook(lambda *_, path=path: running.append(path))
            ends = module.register_forward_hook(lambda _m, _args, out, path=path: end(path, out))
            stack.callback(begins.remove)
            stack.callback(ends.remove)
        stack.enter_context(torch.no_grad())
        stack.enter_context(Functions())
        run(net, inputs)
    return found


def run(net: nn.Module, inputs: Any) -> Any:
    if isinstance(inputs, Mapping):
        return net(**inputs)
    return net(*inputs) if type(inputs) in {tuple, list} else net(inputs)


def cloned(out: Any) -> Any:
    """The first tensor of floating-point numbers in an output, and where its positions count, if it knows."""
    if isinstance(out, PackedSequence):
        padded, lengths = pad_packed_sequence(out, batch_first=True)
        return padded.clone(), torch.arange(padded.shape[1])[None, :] < lengths[:, None]
    if isinstance(out, Tensor):
        return (out.clone(), None) if out.is_floating_point() and out.ndim else None
    return next((found for part in parts(out) if (found := cloned(part)) is not None), None)


def parts(out: Any) -> Iterator[Any]:
    if dataclasses.is_dataclass(out):
        out = {f.name: getattr(out, f.name) for f in dataclasses.fields(out)}
    if isinstance(out, Mapping):
        yield from (out[key] for key in _FIRST if key in out)
        yield from out.values()
    elif isinstance(out, (tuple, list)):
        yield from out


def tokens_of(entry: Entry, name: str, out: Any) -> tuple[Tensor, Tensor, bool]:
    """A layer's output as [n, positions, units], where they count, and whether the last one stands for the sample."""
    values, own = out
    axes, *words = axes_of(entry, name).split()
    assert len(axes) == values.ndim, f"{name}: {axes} is declared for {tuple(values.shape)}"
    order = [i for letter in "npc" for i, a in enumerate(axes) if a == letter]
    x = values.permute(order).double()
    x = x.reshape(len(x), -1, x.shape[-1] if "c" in axes else 1)
    mask = next((m for key, m in entry.masks().items() if key in words), own)
    return x, torch.ones(x.shape[:2], dtype=torch.bool) if mask is None else mask, "last" in words


def axes_of(entry: Entry, name: str) -> str:
    return next((axes for glob, axes in reversed(entry.axes.items()) if fnmatchcase(name, glob)), "nc")


def rows(x: Tensor, counts: Tensor, *, last: bool) -> Tensor:
    """One row per sample."""
    if last:
        return torch.stack([sample[kept][-1] for sample, kept in zip(x, counts, strict=True)])
    return torch.stack([sample[kept].mean(0) for sample, kept in zip(x, counts, strict=True)])


def place_of(name: str, paths: set[str]) -> tuple[str, str, int]:
    """Path, functional activation and number of the call that a layer's name stands for."""
    name = name.removeprefix("model.") if name not in paths else name
    if name in paths:
        return name, "", 0
    base, _, number = name.partition("#")
    call = int(number or 1) - 1
    path, colon, function = base.rpartition(":")
    if colon or base not in {*paths, "output"}:
        return path, function, call
    return ("" if base == "output" else base), "", call
