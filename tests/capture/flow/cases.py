"""How an architecture and what its planning pass must show are written down."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

N = 4
"""Samples in every batch here."""
LETTERS = {"sample": "n", "position": "p", "unit": "u", "unknown": "?"}


@dataclass(frozen=True, slots=True, eq=False)
class Case:
    """An architecture with hand-derived facts.

    Attributes:
        model: in evaluation mode.
        inputs: one batch of `N` rows.
        sites: name → (feeders, axes, width): feeders as a word list, "=a" for another name of `a`; axes as letters,
            "?" for one that nothing speaks of; "" where only the feeders are of interest.
        masks: name → name of the mask input and what a nonzero value says, or None.
        activations: names of the activations that forward computes by hand, in order, with whether each is a rectifier.
        writes: names of the inputs that forward writes into.
    """

    model: nn.Module
    inputs: Any
    sites: Mapping[str, tuple[str, str, int] | tuple[str]]
    masks: Mapping[str, tuple[str, str] | None] = field(default_factory=dict)
    activations: Mapping[str, bool] = field(default_factory=dict)
    writes: tuple[str, ...] = ()


class Net(nn.Module):
    """A module of named parts whose forward is a function of it and the inputs."""

    def __init__(self, run: Callable[..., Any], **parts: nn.Module | nn.Parameter):
        super().__init__()
        self.run = run
        for name, part in parts.items():
            setattr(self, name, part)

    def forward(self, *args, **kwargs):
        return self.run(self, *args, **kwargs)


def normal(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(sum(shape)))


def tokens(length: int, vocabulary: int = 20) -> torch.Tensor:
    return torch.randint(3, vocabulary, (N, length), generator=torch.Generator().manual_seed(length))


def mask(length: int, *lengths: int) -> torch.Tensor:
    """1 where there is a token."""
    return (torch.arange(length)[None] < torch.tensor(lengths)[:, None]).long()
