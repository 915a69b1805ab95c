"""The initialisation of a network's own code: what the factory that built it builds under another seed.

In: the words that named the network, and the network. Out: an untrained network, or None where the factory loads or
trains weights, so that what it builds is no initialisation.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn
from torch.optim.optimizer import register_optimizer_step_pre_hook

from unbend import load
from unbend.capture import bare
from unbend.capture.twin import twin
from unbend.errors import LoadError, ModelError


def initialisation(words: str, model: nn.Module, *, seed: int) -> nn.Module | None:
    """What the code that built a network builds under a seed, if that is an untrained network.

    It is built under two seeds. What is equal in both was not drawn, so that it may have been loaded or trained
    under a fixed seed; and a factory that takes a step of an optimizer trains.

    Args:
        words: as `unbend.load.model` takes them.
        model: what they gave, perhaps filled with other weights since.
        seed: of the network.

    Cost:
        The network is built twice.
    """
    factory = load.factory(words)
    if factory is None:
        return None
    try:
        with _no_training():
            one, other = (twin(bare(model), seed=s, untrained=factory) for s in (seed, seed + 1))
    except (LoadError, ModelError):
        return None
    return one if _is_drawn(one, other) else None


@contextmanager
def _no_training() -> Iterator[None]:
    """Let a step of any optimizer raise."""
    handle = register_optimizer_step_pre_hook(_refuse)
    try:
        yield
    finally:
        handle.remove()


def _refuse(*_step: object) -> None:
    raise ModelError("untrained: the factory trains what it builds.")


def _is_drawn(one: nn.Module, other: nn.Module) -> bool:
    """Whether two builds differ in every parameter that is not the same number throughout."""
    pairs = zip(one.parameters(), other.parameters(), strict=True)
    return all(not torch.equal(a, b) or bool((a == a.flatten()[:1]).all()) for a, b in pairs if a.numel())
