"""Words of the command line to values of the API."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from unbend.cli.options import ReadWords
from unbend.errors import DataError

if TYPE_CHECKING:  # brought by what computes, which help does without
    from unbend.numerics.view import Rule
    from unbend.study.items import Choice
    from unbend.study.settings import ReadAs


def files_of(words: Iterable[str | Path | None]) -> list[str]:
    """The files that words for a model, data or weights may name.

    Example:
        >>> files_of(["net.py:build", "x.npy,y.npy", None, Path("w.pt")])
        ['net.py:build', 'net.py', 'x.npy,y.npy', 'x.npy', 'y.npy', 'w.pt']
    """
    found: list[str] = []
    for word in words:
        text = "" if word is None else str(word)
        place, colon, _ = text.rpartition(":")
        found += [text, *([place] if colon else text.split(","))] if text else []
    return list(dict.fromkeys(found))


def rules(words: Sequence[str] | None) -> "Mapping[str, Rule] | None":
    """`mean` or `encoder.*=cls` to a rule by glob.

    Raises:
        DataError: no such rule.
    """
    from unbend.numerics.view import Rule

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


def reading(words: ReadWords, groups: "Choice | None") -> "ReadAs":
    """How items and layers are read.

    Args:
        words: what the command line says.
        groups: what names the group of a row; None where the data hold the groups of a table.

    Raises:
        DataError: no such rule, or no axis behind a glob.
    """
    from unbend.study.items import choice, choices
    from unbend.study.settings import ReadAs

    return ReadAs(
        inputs=choices(words.inputs), target=choice(words.target), output=choice(words.model_output),
        reduce=rules(words.reduce), axis=axes(words.axis), groups=groups, n_classes=words.classes,
    )  # fmt: skip
