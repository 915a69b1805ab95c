"""What the network's output leaves last: the functions behind it, reshapes aside.

In: a network, a pass over a few rows. Out: `Trail`. The pass is watched function by function, so that a softmax counts
whether it is a module or is called inside `forward`.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from unbend.capture.hearing import hear_calls

_MOVES = frozenset({
    "view", "reshape", "flatten", "unflatten", "squeeze", "unsqueeze", "contiguous", "clone", "detach", "transpose",
    "permute", "movedim", "t", "float", "double", "to", "type", "expand", "__getitem__", "dropout",
})  # fmt: skip
"""Functions that leave values as they are in evaluation mode."""
ENDS = frozenset({
    "softmax", "log_softmax", "sigmoid", "logsigmoid", "relu", "relu6", "tanh", "hardtanh", "hardsigmoid", "clamp",
    "clamp_min", "clip", "softplus", "threshold", "exp",
})  # fmt: skip
"""Functions that bound what a network can put out."""
_AFFINE = frozenset({"linear", "conv1d", "conv2d", "conv3d", "addmm", "baddbmm", "matmul", "mm", "bmm"})
"""Functions that make scores, which may have any size,"""
_SHIFTS = frozenset({"add", "__add__"})
"""also where something is added to what they make."""


@dataclass(frozen=True, slots=True)
class Step:
    """One function on the way to the output: its name, and the path of the module it ran in.

    Attributes:
        name: of the function.
        path: of the module it ran in.
    """

    name: str
    path: str


@dataclass(frozen=True, slots=True)
class Trail:
    """The last functions before the output, the last one first, reshapes aside.

    Attributes:
        steps: the last one first.
    """

    steps: tuple[Step, ...]

    @property
    def end(self) -> Step | None:
        """The function that bounds the output, if it is the last one."""
        return self.steps[0] if self.steps and self.steps[0].name in ENDS else None

    @property
    def before(self) -> Step | None:
        """The function before that one."""
        return self.steps[1] if self.end is not None and len(self.steps) > 1 else None

    @property
    def is_affine(self) -> bool:
        """Whether an affine map makes the output: a single score is a logit then, whatever values it has."""
        names = [step.name for step in self.steps if step.name not in _SHIFTS]
        return bool(names) and names[0] in _AFFINE


def trail(net: nn.Module, run: Callable[[], Tensor], most: int = 4) -> Trail:
    """The last functions before a network's output.

    Args:
        net: the network.
        run: runs it on a few rows, and gives its output.
        most: how many functions are looked for.
    """
    watch = _Watch()
    with torch.no_grad(), hear_calls(net, watch.enter, watch.leave, watch.run):
        out = run()
    return Trail(tuple(_first(watch.back(out), most)))


def _first(steps: Iterator[Step], most: int) -> Iterator[Step]:
    for _, step in zip(range(most), steps, strict=False):
        yield step


class _Watch:
    """Notes which function put out each tensor, and from which tensor it was made."""

    def __init__(self) -> None:
        self._notes: dict[int, tuple[Step, Tensor | None]] = {}
        self._alive: list[Tensor] = []  # an address is not used again while its tensor lives
        self._paths: list[str] = []

    def enter(self, path: str) -> None:
        """A module begins."""
        self._paths.append(path)

    def leave(self, path: str, *_called: Any) -> None:
        """A module ends."""
        if self._paths and self._paths[-1] == path:
            self._paths.pop()

    def run(self, func: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        """A function runs."""
        out = func(*args, **kwargs)
        if isinstance(out, Tensor):
            values = (*args, *kwargs.values())
            source = next((value for value in values if isinstance(value, Tensor)), None)
            name = getattr(func, "__name__", "") or "?"
            name = name if name.endswith("__") else name.removesuffix("_")
            self._notes[id(out)] = (Step(name, self._paths[-1] if self._paths else ""), source)
            self._alive.append(out)
        return out

    def back(self, out: Tensor) -> Iterator[Step]:
        """The functions behind a tensor, the last first; an in-place one hides what was there before."""
        seen: set[int] = set()
        at: Tensor | None = out
        while at is not None and id(at) not in seen and id(at) in self._notes:
            seen.add(id(at))
            step, at = self._notes[id(at)]
            if step.name not in _MOVES:
                yield step
