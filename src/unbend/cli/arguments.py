"""Words of the command line to values of the API."""

from collections.abc import Mapping, Sequence
from typing import get_args

from unbend.errors import DataError
from unbend.numerics.views import Rule


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
