"""Words of the command line to values of the API."""

from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from typing import get_args

from torch import Tensor
from torch.nn import functional

from unbend.errors import DataError
from unbend.numerics.views import Rule


class Loss(StrEnum):
    """Losses that can be named."""

    CROSS_ENTROPY = "cross-entropy"
    MSE = "mse"


def loss_of(name: Loss | None) -> Callable[[Tensor, Tensor], Tensor] | None:
    """The loss of that name."""
    return None if name is None else {Loss.CROSS_ENTROPY: functional.cross_entropy, Loss.MSE: functional.mse_loss}[name]


def rules(words: Sequence[str] | None) -> Mapping[str, Rule] | None:
    """`mean` or `encoder.*=cls` to a rule by glob.

    Raises:
        DataError: no such rule.
    """
    if not words:
        return None
    known = get_args(Rule)[1:]
    found: dict[str, Rule] = {}
    for word in words:
        glob, _, rule = word.rpartition("=")
        if rule not in known:
            raise DataError(f"--reduce: no rule {rule!r}. The rules are {', '.join(known)}, or GLOB=RULE.")
        found[glob or "*"] = rule  # type: ignore[assignment]
    return found
