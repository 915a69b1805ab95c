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


def axes(words: Sequence[str] | None) -> dict[str, int] | None:
    """`encoder.*=1` to the axis of the units by glob.

    Raises:
        DataError: no number behind the glob.
    """
    if not words:
        return None
    found: dict[str, int] = {}
    for word in words:
        glob, _, number = word.rpartition("=")
        if not glob or not number.removeprefix("-").isdecimal():
            raise DataError(f"--axis: expected GLOB=N, such as 'encoder.*=1', got {word!r}.")
        found[glob] = int(number)
    return found
