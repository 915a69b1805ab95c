"""Which part of an item is what: inputs and labels among the parts a data set gives.

In: batches as a data set gives them, what the user says, the arguments the model takes. Out: inputs and labels of each
batch. What is not said is guessed where one reading works, and the guess is noted; where several work, a sentence asks.
"""

import inspect
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from math import inf
from typing import Any, TypeAlias, final

import numpy as np
from torch import Tensor, nn

from unbend.errors import DataError

LABEL_KEYS = ("labels", "label", "y", "target", "targets")
Choice: TypeAlias = str | int | Callable[[Any], Any]
"""A part of an item: its name, its position, or a function of the batch."""


@dataclass(frozen=True, slots=True)
class Arguments:
    """What a model's forward takes.

    Attributes:
        names: of its arguments.
        least: how many it needs.
        most: how many it takes by position.
        takes_any: whether it takes every name.
    """

    names: tuple[str, ...]
    least: int
    most: int | float
    takes_any: bool


def arguments(model: nn.Module) -> Arguments | None:
    """What the model's forward takes; None where Python does not say."""
    try:
        found = inspect.signature(model.forward).parameters.values()
    except (TypeError, ValueError):
        return None
    named = [p for p in found if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    has_more = any(p.kind is p.VAR_POSITIONAL for p in found)
    names = tuple(p.name for p in found if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD))
    least = sum(p.default is p.empty for p in named)
    return Arguments(names, least, inf if has_more else len(named), any(p.kind is p.VAR_KEYWORD for p in found))


@final
class Items:
    """Tells inputs from labels, in every batch as in the first.

    Args:
        takes: what the model takes; None where that is not known: the last part is then the label.
        inputs: the parts that are inputs; None to find out.
        target: the part that is the label; None to find out.
        beside: a part that is neither, such as the group of a row; None for none.
    """

    def __init__(
        self,
        takes: Arguments | None = None,
        *,
        inputs: Choice | Sequence[Choice] | None = None,
        target: Choice | None = None,
        beside: Choice | None = None,
    ) -> None:
        self._takes, self._inputs, self._target, self._beside = takes, inputs, target, beside
        self._parting: Callable[[Any], tuple[Any, Any]] | None = None
        self.notes: tuple[str, ...] = ()

    @property
    def is_said(self) -> bool:
        """Whether the user said what is what."""
        return self._inputs is not None or self._target is not None

    def split(self, batch: Any) -> tuple[Any, Any]:
        """Inputs and labels of one batch; None for labels where there are none.

        Raises:
            DataError: no part of that name, or several readings that work.
        """
        if self._parting is None:
            self._parting = self._find_split(batch)
        return self._parting(batch)

    def _find_split(self, batch: Any) -> Callable[[Any], tuple[Any, Any]]:
        """How to split a batch like this one."""
        if isinstance(batch, Mapping):
            return self._of_mapping(batch)
        if isinstance(batch, (tuple, list)) and len(batch) > 1:
            return self._of_parts(batch)
        if self.is_said:
            inputs, target = self._inputs, self._target
            return lambda b: (b if inputs is None else _pick(b, inputs), None if target is None else _part(b, target))
        return lambda b: (b[0] if isinstance(b, (tuple, list)) else b, None)

    def _of_mapping(self, batch: Mapping[Any, Any]) -> Callable[[Any], tuple[Any, Any]]:
        target = self._target if self._target is not None else self._label_key(batch)
        if self._inputs is not None:
            chosen = self._inputs
            return lambda b: (_pick(b, chosen), None if target is None else _part(b, target))
        rest = tuple(key for key in batch if key not in (target, self._beside))
        keys, is_single = self._input_keys(batch, rest)
        if len(keys) < len(rest):
            self._note(
                f"Of each item, {_key_words(set(rest) - set(keys))} is not used; "
                f"{_key_words(keys)} goes into the model."
            )

        def split(b: Mapping[Any, Any]) -> tuple[Any, Any]:
            inputs = b[keys[0]] if is_single else {key: b[key] for key in keys}
            return inputs, None if target is None else _part(b, target)

        return split

    def _label_key(self, batch: Mapping[Any, Any]) -> Hashable | None:
        """The key of the label."""
        free = [key for key in batch if key != self._beside and batch[key] is not None]
        known = [key for key in free if str(key).lower() in LABEL_KEYS]
        if not known and self._takes is not None and not self._takes.takes_any:
            others = [key for key in free if key not in self._takes.names and _is_label(batch[key])]
            known = others
            if len(others) == 1:
                self._note(f"The label of each item is read from {others[0]!r}; target= (--target) names another.")
        if len(known) > 1 and self._takes is not None:
            apart = [key for key in known if key not in self._takes.names]
            known = apart if len(apart) == 1 else known
        if len(known) > 1:
            raise DataError(f"data: {_key_words(known)} could be the label. Say which: target={known[0]!r} (--target).")
        return known[0] if known else None

    def _input_keys(self, batch: Mapping[Any, Any], rest: tuple[Any, ...]) -> tuple[tuple[Any, ...], bool]:
        """The keys of the inputs, and whether the one goes in by position."""
        takes = self._takes
        if takes is None or takes.takes_any:
            return rest, False
        named = tuple(key for key in rest if key in takes.names)
        if named:
            return named, False
        numeric = tuple(key for key in rest if _is_numeric(batch[key]))
        if len(numeric) == 1:
            return numeric, True
        have = _key_words(rest) or "nothing"
        raise DataError(
            f"data: items have {have} beside the label, and the model takes {', '.join(takes.names) or 'nothing'}. "
            "Say which is its input: inputs= (--inputs)."
        )

    def _of_parts(self, batch: Sequence[Any]) -> Callable[[Any], tuple[Any, Any]]:
        if self._inputs is not None:
            return self._of_chosen(batch)
        if self._target is not None and not isinstance(self._target, int):
            inputs, target = self._by_position(batch, ()), self._target
            return lambda b: (_pick(b, inputs), _part(b, target))
        place = self._label_place(batch) if self._target is None else _place(batch, self._target)
        if place is None:
            return lambda b: (tuple(b), None)
        inputs = self._by_position(batch, (place,))
        unused = [i for i in range(len(batch)) if i != place and i not in inputs]
        if len(batch) > 2 and (unused or self._target is None):
            word = f"; {_number_words(unused)} {'are' if len(unused) > 1 else 'is'} not used" if unused else ""
            verb = "go" if len(inputs) > 1 else "goes"
            self._note(
                f"Items have {len(batch)} parts: {_number_words(inputs)} {verb} into the model and part {place} is the "
                f"label{word}. inputs= and target= say otherwise."
            )
        if len(inputs) == 1 and self._is_several(batch[inputs[0]]):
            return lambda b: (tuple(b[inputs[0]]), b[place])
        return lambda b: (_pick(b, inputs if len(inputs) > 1 else inputs[0]), b[place])

    def _of_chosen(self, batch: Sequence[Any]) -> Callable[[Any], tuple[Any, Any]]:
        """The same where the inputs were said."""
        chosen, target = self._inputs, self._target
        assert chosen is not None  # noqa: S101  asked by the caller
        if target is None:
            several = chosen if isinstance(chosen, (tuple, list)) else [chosen]
            taken = {_place(batch, c) for c in several if isinstance(c, int)}
            left = [i for i in range(len(batch)) if i not in taken]
            labels = [i for i in left if _is_label(batch[i])] if len(left) > 1 else left
            if len(labels) > 1:
                raise DataError(
                    f"data: {_number_words(labels)} could be the label. Say which: target={labels[0]} (--target)."
                )
            target = labels[0] if labels else None
        return lambda b: (_pick(b, chosen), None if target is None else _part(b, target))

    def _label_place(self, batch: Sequence[Any]) -> int | None:
        """The position of the label; None where every part is an input."""
        takes, last = self._takes, len(batch) - 1
        if len(batch) == 2 and self._is_several(batch[0]):
            return last
        if takes is None or len(batch) == 2:
            last -= self._beside_place(batch) == last
            return None if takes is not None and takes.least > last else last
        if takes.least > last:
            return None
        behind = [i for i in range(max(takes.least, 1), len(batch)) if i != self._beside_place(batch)]
        likely = [i for i in behind if _is_label(batch[i])]
        numeric = [i for i in likely if _is_numeric(batch[i])]
        found = numeric or likely or [i for i in behind if _is_numeric(batch[i])]
        if len(found) == 1:
            return found[0]
        raise DataError(
            f"data: items have {len(batch)} parts ({', '.join(map(_words, batch))}), and {_number_words(found)} could "
            f"be the label. Say which: target={found[0] if found else last} (--target)."
        )

    def _is_several(self, part: Any) -> bool:
        """Whether a part is all that the model takes, one by one: a collate function makes a list of a tuple."""
        is_listed = isinstance(part, (tuple, list)) and all(_is_numeric(one) for one in part)
        return is_listed and self._takes is not None and self._takes.least == len(part) > 1

    def _by_position(self, batch: Sequence[Any], labels: tuple[int, ...]) -> tuple[int, ...]:
        """The positions of the inputs, beside those of the labels."""
        rest = [i for i in range(len(batch)) if i not in labels and i != self._beside_place(batch)]
        takes = self._takes
        if takes is None or len(batch) == 2:
            return tuple(rest)
        plain = [i for i in rest if _is_numeric(batch[i]) and not _is_label(batch[i])] or rest[:1]
        more = [i for i in rest if i not in plain and _is_numeric(batch[i])]
        plain = sorted([*plain, *more[: max(takes.least - len(plain), 0)]])
        return tuple(plain[: int(min(takes.most, len(plain)))])

    def _beside_place(self, batch: Sequence[Any]) -> int | None:
        return _place(batch, self._beside) if isinstance(self._beside, int) else None

    def _note(self, sentence: str) -> None:
        self.notes = (*self.notes, sentence)


def _pick(batch: Any, chosen: Any) -> Any:
    """The parts chosen: one as it is, several as arguments, by name where they are names."""
    if not isinstance(chosen, (tuple, list)):
        return _part(batch, chosen)
    if len(chosen) == 1:
        return _part(batch, chosen[0])
    if isinstance(batch, Mapping) and all(isinstance(one, str) for one in chosen):
        return {one: _part(batch, one) for one in chosen}
    return tuple(_part(batch, one) for one in chosen)


def _part(batch: Any, choice: Any) -> Any:
    """One part of a batch.

    Raises:
        DataError: there is none.
    """
    if callable(choice):
        return choice(batch)
    if isinstance(choice, str) and choice.lstrip("-").isdigit() and not isinstance(batch, Mapping):
        choice = int(choice)
    try:
        return getattr(batch, choice) if isinstance(choice, str) and hasattr(batch, choice) else batch[choice]
    except (KeyError, IndexError, TypeError) as error:
        has = ", ".join(map(repr, batch)) if isinstance(batch, Mapping) else f"{len(batch)} parts, from 0"
        raise DataError(f"data: items have no part {choice!r}. They have: {has}.") from error


def _place(batch: Sequence[Any], at: int) -> int:
    """The position of a part, counted from the start.

    Raises:
        DataError: there is none.
    """
    if not -len(batch) <= at < len(batch):
        raise DataError(f"data: items have no part {at}. They have: {len(batch)} parts, from 0.")
    return range(len(batch))[at]


def choice(word: str | None) -> Choice | None:
    """A word of the command line as a choice: a whole number is a position."""
    return None if word is None else int(word) if word.lstrip("-").isdigit() else word


def choices(words: Sequence[str] | None) -> list[Choice] | None:
    """Words of the command line as choices: whole numbers are positions."""
    return [int(word) if word.lstrip("-").isdigit() else word for word in words] if words else None


def _is_numeric(part: Any) -> bool:
    return isinstance(part, Tensor | np.ndarray) and (isinstance(part, Tensor) or part.dtype.kind in "biuf")


def _is_label(part: Any) -> bool:
    """Whether a part has the form of one label per row: one number, or one word."""
    if isinstance(part, Tensor | np.ndarray):
        return part.ndim == 1 or (part.ndim == 2 and part.shape[1] == 1)
    return (
        isinstance(part, (tuple, list))
        and len(part) > 0
        and all(isinstance(v, str | bytes | int | float) for v in part)
    )


def _words(part: Any) -> str:
    if isinstance(part, Tensor | np.ndarray):
        return f"{str(part.dtype).removeprefix('torch.')} {list(part.shape)}"
    return "text" if _is_label(part) else type(part).__name__


def _number_words(places: Sequence[int]) -> str:
    return ("parts " if len(places) > 1 else "part ") + " and ".join(map(str, places))


def _key_words(keys: Any) -> str:
    return " and ".join(sorted(map(repr, keys)))
