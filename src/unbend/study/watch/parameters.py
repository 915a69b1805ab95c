"""The parameters of a model and their norms: of gradients, of themselves, of how far a step moves them.

In: parameters and gradients, dense or sparse, of any number and on any device. Out: one number a parameter, on the host
where all of them are plain, else as tensors that no one has waited for.
"""

from collections.abc import Sequence
from math import sqrt
from typing import TypeAlias, final

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from unbend._typing import Array

Norms: TypeAlias = Tensor | list[float]
"""One number a parameter, on its device or on the host."""
LARGEST = 4096
"""Values of one parameter whose movement is measured; of larger ones, evenly spaced ones, which tells the ratio to
some two per cent."""
_LINE = 16


@final
class Listed:
    """The parameters that are trained, and room for what some of their values were before a step.

    Args:
        model: whose parameters.
    """

    def __init__(self, model: nn.Module) -> None:
        every = dict(model.named_parameters())
        self._every = list(every.values())
        self._is_asked = [p.requires_grad for p in self._every]
        self.names: tuple[str, ...] = tuple(name for name, p in every.items() if p.requires_grad)
        self.parameters: list[Tensor] = [p for p in self._every if p.requires_grad]
        self.is_kept: bool = False
        self._find()
        self._before: list[Tensor] = [torch.empty_like(some) for some in self._some]

    def _find(self) -> None:
        """Find where the parameters lie."""
        self._places = [p.data_ptr() for p in self.parameters]
        self._now: list[Tensor] = [p.detach() for p in self.parameters]
        self._some: list[Tensor] = [_some(p) for p in self._now]
        self._room = _HostRoom(self._now, self._some) if all(_is_plain(p) for p in self._now) else None

    @property
    def is_current(self) -> bool:
        """Whether the same are trained still, and are where they were."""
        return [p.requires_grad for p in self._every] == self._is_asked and self._is_in_place

    @property
    def _is_in_place(self) -> bool:
        return [p.data_ptr() for p in self.parameters] == self._places

    def is_of(self, trained: Sequence[Tensor]) -> bool:
        """Whether these are the parameters."""
        return [id(p) for p in trained] == [id(p) for p in self.parameters]

    def held_by(self, optimiser: Optimizer) -> set[int]:
        """The numbers of the parameters that an optimiser steps."""
        held = {id(p) for group in optimiser.param_groups for p in group["params"]}
        return {i for i, p in enumerate(self.parameters) if id(p) in held}

    def of(self, gradients: Sequence[Tensor | None]) -> Norms:
        """The norm of each gradient, 0 for none."""
        if self._room is not None and all(g is None or _is_plain(g) for g in gradients):
            with np.errstate(invalid="ignore", over="ignore"):
                return [0.0 if g is None else _norm(g.detach().numpy()) for g in gradients]
        return _norms(gradients)

    def keep(self) -> None:
        """Keep the values from before a step."""
        if self._room is not None:
            self._room.keep()
        else:
            torch._foreach_copy_(self._before, self._some)
        self.is_kept = True

    def norms(self) -> Norms:
        """After the step: of each parameter, of how far its values moved, and of those before [3 p]."""
        self.is_kept = False
        if not self._is_in_place:
            self._find_moved()
        if self._room is not None:
            return self._room.norms()
        old = _norms(self._before)
        torch._foreach_sub_(self._before, self._some)
        return torch.cat((_norms([*self._now, *self._before]), old))

    def _find_moved(self) -> None:
        """Find the parameters again: other tensors are in their place; of such of another kind nothing is known."""
        old = self._room
        self._find()
        if self._room is not None:
            is_same = old is not None and old.before.size == self._room.before.size
            self._room.before[:] = old.before if old is not None and is_same else np.nan
        elif old is not None or [x.shape for x in self._before] != [x.shape for x in self._some]:
            self._before = [torch.full_like(some, torch.nan) for some in self._some]


@final
class _HostRoom:
    """The same for parameters on the CPU: numpy's short calls take a third of torch's, and they run cold.

    Args:
        now: the parameters.
        some: those of their values whose movement is measured.

    Attributes:
        before: what these were before a step.
    """

    def __init__(self, now: Sequence[Tensor], some: Sequence[Tensor]) -> None:
        self._now = [p.numpy() for p in now]
        self._some = [part.numpy() for part in some]
        ends = np.cumsum([part.size for part in self._some], dtype=np.int64).tolist()
        self.before: Array
        self.before, self._after = (np.empty(ends[-1] if ends else 0, np.float32) for _ in range(2))
        parts = list(zip([0, *ends], ends, self._some, strict=False))
        self._each = [[room[start:end] for start, end, _ in parts] for room in (self._after, self.before)]
        self._kept = [self.before[start:end].reshape(part.shape) for start, end, part in parts]
        self._moved = [self._after[start:end].reshape(part.shape) for start, end, part in parts]

    def keep(self) -> None:
        """Keep the values from before a step."""
        for room, part in zip(self._kept, self._some, strict=True):
            np.copyto(room, part)

    def norms(self) -> list[float]:
        """As `Listed.norms`."""
        for room, part in zip(self._moved, self._some, strict=True):
            np.copyto(room, part)
        with np.errstate(invalid="ignore", over="ignore"):  # values may not be finite
            np.subtract(self._after, self.before, out=self._after)
            return [_norm(x) for x in (*self._now, *self._each[0], *self._each[1])]


def join(parts: Sequence[Norms]) -> Tensor | Array:
    """Norms side by side, on the host if all are there."""
    if all(isinstance(part, list) for part in parts):
        return np.array([norm for part in parts for norm in part])
    return torch.cat([torch.tensor(part, dtype=torch.float32) if isinstance(part, list) else part for part in parts])


def put(row: Tensor | Array, held: list[int], found: Norms) -> None:
    """Put some of other norms in the place of those that are there."""
    if isinstance(row, Tensor):
        row[held] = torch.as_tensor(found).to(row)[held]
    else:
        row[held] = np.asarray(found)[held]


def _norm(x: Array) -> float:
    """The norm of values that are dense in memory, read where they lie."""
    flat = x if x.ndim == 1 else x.ravel("K")
    return sqrt(np.dot(flat, flat))


def _is_plain(tensor: Tensor) -> bool:
    """Whether numpy can read it where it lies."""
    return tensor.is_cpu and tensor.dtype is torch.float32 and tensor.layout is torch.strided


def _in_memory(tensor: Tensor) -> Tensor:
    """A view with its axes in the order in which they lie in memory."""
    return tensor.permute(sorted(range(tensor.ndim), key=tensor.stride, reverse=True))


def _norms(tensors: Sequence[Tensor | None]) -> Tensor:
    """The norm of each tensor, 0 for none, as one vector."""
    there = [_dense(t) for t in tensors if t is not None and t.numel()]
    if not there:
        return torch.zeros(len(tensors), dtype=torch.float32)
    if any(t.dtype is torch.float64 for t in there):  # which no norm may be narrower than
        found = [torch.linalg.vector_norm(t, dtype=torch.float64) for t in there]
    else:
        found = torch._foreach_norm(there, 2, torch.float32)  # noqa: SLF001  one kernel for all
    device, empty = there[0].device, torch.zeros((), dtype=found[0].dtype, device=there[0].device)
    if len(there) < len(tensors) or any(norm.device != device for norm in found):  # a model may lie on several devices
        each = iter(found)
        found = [next(each).to(device) if t is not None and t.numel() else empty for t in tensors]
    return torch.stack(found)


def _dense(tensor: Tensor) -> Tensor:
    """Real numbers without their graph: of a sparse gradient its values, of complex ones their parts."""
    dense = tensor.detach().coalesce().values() if tensor.is_sparse else tensor.detach()
    return torch.view_as_real(dense.resolve_conj()) if dense.is_complex() else dense


def _some(p: Tensor) -> Tensor:
    """A parameter's values, of a large one some that are evenly spaced, as many side by side as a cache line holds."""
    p = _in_memory(p)  # what comes back is a view
    if p.numel() <= LARGEST or not p.is_contiguous():
        return p
    flat = p.view(-1)
    every = -(-flat.numel() // LARGEST)
    whole = flat.numel() // (_LINE * every)
    return flat[: whole * _LINE * every].view(whole, every, _LINE)[:, 0]
