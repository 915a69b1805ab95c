"""One architecture as plain data: how it is built, one batch, and by hand which axis of every layer is which."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

N = 8
"""Samples of a batch."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """An architecture.

    Attributes:
        name: in words.
        build: the network; called under a seed.
        inputs: one batch of `N` samples; called under a seed.
        axes: glob of layer names → the axes of its output, a letter for each: `n` the sample, `c` the unit, `p` a
            position; and behind a space, where they apply, `last` for the last position that counts instead of the
            mean over positions, and the key of a mask. The last glob that fits holds; without one, `nc`.
        masks: key → true where a position counts [n, t]; called under no seed.
        inner: the module that is looked at, for a wrapper.
        refusal: what the `UnbendError` says, for what is refused.
    """

    name: str
    build: Callable[[], nn.Module]
    inputs: Callable[[], Any]
    axes: Mapping[str, str] = field(default_factory=dict)
    masks: Callable[[], Mapping[str, Tensor]] = dict
    inner: Callable[[nn.Module], nn.Module] = lambda net: net
    refusal: str | None = None


class Net(nn.Module):
    """A module from a function of itself and its inputs, and its parts by name."""

    def __init__(self, rule: Callable[..., Any], **parts: Any) -> None:
        super().__init__()
        self.rule = rule
        for name, part in parts.items():
            setattr(self, name, part)

    def forward(self, x, *more):
        return self.rule(self, x, *more)


def residual(*branch: nn.Module) -> Net:
    return Net(lambda s, x: x + s.branch(x), branch=nn.Sequential(*branch))


def normal(*shape: int) -> Callable[[], Tensor]:
    """A batch of normal numbers."""
    return lambda: torch.randn(N, *shape)


def tokens(length: int, vocabulary: int = 20) -> Callable[[], Tensor]:
    """A batch of token numbers, from 3 on, so that special ones do not occur."""
    return lambda: torch.randint(3, vocabulary, (N, length))


def padding(length: int, shortest: int = 2) -> Tensor:
    """Where tokens count: lengths from the shortest to the whole, padded on the right."""
    lengths = torch.linspace(shortest, length, N).long()
    return torch.arange(length)[None, :] < lengths[:, None]
