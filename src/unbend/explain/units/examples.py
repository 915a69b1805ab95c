"""Rows of a data set by their numbers, as they can be shown: images, columns, words.

In: the data, row numbers. Out: `Examples`.
"""

import re
from collections.abc import Callable, Sequence
from functools import partial
from math import isqrt
from typing import Any, Literal, TypeAlias

import numpy as np
import torch
from torch import Tensor

from unbend._names import column_word
from unbend._typing import Array, Int64, Shaped
from unbend.capture.inputs import named_tensors
from unbend.errors import DataError
from unbend.explain.groups import label_word
from unbend.numerics.result import result
from unbend.study.prepare import Preparation
from unbend.study.source import Part

Form: TypeAlias = Literal["image", "columns", "tokens", "none"]
LEAST_SIDE = 7
"""Flat rows are shown as square images from this side on: fewer columns are a table."""
_LONGEST = 2
"""Rows of two axes are images where one is at most this many times the other: longer ones are series."""
_MOST = 4096
"""Numbers a row up to which arrays that are no images are shown as columns."""
_CHANNELS = (1, 3)
_COLOURS = ("red", "green", "blue")


@result
class Examples:
    """Some rows of a data set.

    Attributes:
        form: how they are shown.
        ids: their row numbers, rising.
        x: the rows: images [s, h, w, c], columns [s, q], or token numbers [s, t].
        y: their labels, as they are coded: classes [s], or numbers or marks, a column each [s, t].
        column_names: of columns; empty where they have none.
        is_channels_last: whether the model takes images as [h, w, c].
        label_names: of several yes/no labels a row; else none.
    """

    form: Form
    ids: Int64[Array, "s"]
    x: Shaped[Array, "s ..."]
    y: Shaped[Array, "s *t"]
    column_names: tuple[str, ...] = ()
    is_channels_last: bool = False
    label_names: tuple[str, ...] = ()

    def at(self, ids: Int64[Array, "*m"]) -> Int64[Array, "*m"]:
        """Where the rows of these numbers are."""
        return np.searchsorted(self.ids, ids)

    def label(self, i: int) -> str:
        """What the labels of a row that has no class are, in words.

        Example:
            >>> shown = Examples(form="none", ids=np.arange(2), x=np.zeros((2, 0)), y=np.array([[0, 1], [0, 0]]),
            ...                  label_names=("even", "prime"))
            >>> shown.label(0), shown.label(1)
            ('prime', 'no label')
        """
        own = np.atleast_1d(self.y[i])
        if self.label_names:
            marked = [label_word(name) for name, mark in zip(self.label_names, own, strict=True) if mark > 0.5]
            return ", ".join(marked) or "no label"
        return f"label{'' if len(own) == 1 else 's'} {', '.join(f'{value:.3g}' for value in own)}"

    def column(self, number: int) -> str:
        """What a column of the input is called, counted as the input is flattened.

        Example:
            >>> Examples(form="image", ids=np.arange(1), x=np.zeros((1, 8, 8, 3)), y=np.zeros(1)).column(64 + 8 * 2 + 5)
            'the green of the pixel in row 2, column 5'
        """
        if self.form != "image":
            return column_word(self.column_names, number)
        _, h, w, c = self.x.shape
        channel, place = divmod(number, c)[::-1] if self.is_channels_last else divmod(number, h * w)
        pixel = f"the pixel in row {place // w}, column {place % w}"
        return pixel if c == 1 else f"the {_COLOURS[channel]} of {pixel}"


def examples(work: Preparation, ids: Int64[Array, "m"], *, part: Part = "train") -> Examples:
    """The rows of these numbers, and what they are.

    Args:
        work: the data.
        ids: row numbers.
        part: which rows are looked through.

    Cost:
        Reads the rows of that part once, without running the model.
    """
    wanted, names = np.unique(ids[ids >= 0]), work.rows.column_names
    kept, labels, numbers = [], [], []
    form: Form = "none"
    inputs: Any = None
    for batch in work.rows.batches(part):
        mine = np.flatnonzero(np.isin(batch.ids, wanted, assume_unique=True))
        inputs = work.fit(batch.inputs)
        form, x = picture(inputs, len(batch.ids), names)
        if len(mine):
            kept.append(x[mine])
            numbers.append(batch.ids[mine])
            y = batch.y[torch.from_numpy(mine)].numpy()
            labels.append(y[:, 0] if work.n_classes and y.ndim > 1 else y)
    if not kept:
        return Examples(form="none", ids=wanted[:0], x=np.zeros((0, 0)), y=wanted[:0])
    found, order = np.concatenate(numbers), np.argsort(np.concatenate(numbers))
    shown = _numbers_of(inputs, len(batch.ids))
    return Examples(
        form=form, ids=found[order], x=_join(kept)[order], y=np.concatenate(labels)[order],
        column_names=() if shown is None or form != "columns" else names_of(shown, names),
        label_names=work.names if work.task == "yes/no" else (),
        is_channels_last=shown is not None and form == "image" and is_channels_last(tuple(shown.shape[1:])),
    )  # fmt: skip


def names_of(x: Tensor, names: tuple[str, ...]) -> tuple[str, ...]:
    """What the columns are called that rows are shown as: as in the table, or by the place in a series.

    Args:
        x: the rows, as the model takes them.
        names: of the columns of the data set.

    Example:
        >>> names_of(torch.zeros(1, 2), ("age", "sex")), names_of(torch.zeros(1, 2, 2), ())
        (('age', 'sex'), ('[0,0]', '[0,1]', '[1,0]', '[1,1]'))
    """
    if x.ndim > 2:
        return tuple(f"[{','.join(map(str, place))}]" for place in np.ndindex(*x.shape[1:]))
    return names if x.shape[1] == len(names) else ()


def is_table(names: Sequence[str]) -> bool:
    """Whether columns are called by more than their numbers: those of an image are not.

    Example:
        >>> is_table(["age", "sex"]), is_table(["pixel_0_0", "pixel_0_1"]), is_table([])
        (True, False, False)
    """
    return len({re.sub(r"\d+", "", name) for name in names}) > 1


def speaker(words: Sequence[str] | Callable[[int], str]) -> Callable[[int], str]:
    """From the number of a token to its word.

    Args:
        words: the vocabulary: a list, or a function of the number.

    Raises:
        DataError: when it is called, for a token that the list does not have.

    Example:
        >>> speaker(["no", "yes"])(1)
        'yes'
    """
    return partial(_word_of, words) if isinstance(words, Sequence) else words


def _word_of(words: Sequence[str], token: int) -> str:
    if not 0 <= token < len(words):
        raise DataError(
            f"words: the data hold token {token}, and the vocabulary has the {len(words):,} from 0 to "
            f"{len(words) - 1:,}. Pass that of the tokenizer by which the data were made."
        )
    return words[token]


def _join(parts: list[Array]) -> Array:
    """Parts one below the other; texts padded to one length."""
    if len({part.shape[1:] for part in parts}) == 1:
        return np.concatenate(parts)
    length = max(part.shape[1] for part in parts)
    return np.concatenate([np.pad(part, ((0, 0), (0, length - part.shape[1]))) for part in parts])


def picture(inputs: object, n: int, names: Sequence[str] = ()) -> tuple[Form, Array]:
    """A batch of inputs as it can be shown.

    Args:
        inputs: as the model takes them.
        n: rows.
        names: of the columns of the data set.
    """
    tensors = dict(named_tensors(inputs))
    tokens = next((t for name, t in tensors.items() if _is_tokens(t, n) and "mask" not in name), None)
    if tokens is not None:
        return "tokens", tokens.cpu().numpy()
    x = _numbers_of(inputs, n)
    if x is None:
        return "none", np.zeros((n, 0))
    x = x.detach().float().cpu()
    if image_side(tuple(x.shape[1:])) is not None and not (x.ndim == 2 and is_table(names)):
        return "image", as_maps(x).movedim(1, -1).numpy()
    return ("columns", x.flatten(1).numpy()) if x.ndim == 2 or x[0].numel() <= _MOST else ("none", np.zeros((n, 0)))


def _numbers_of(inputs: object, n: int) -> Tensor | None:
    """The tensor of numbers that is shown."""
    tensors = (t for _, t in named_tensors(inputs))
    return next((t for t in tensors if t.is_floating_point() and t.ndim >= 2 and len(t) == n), None)


def _is_tokens(tensor: Tensor, n: int) -> bool:
    return not tensor.is_floating_point() and tensor.ndim == 2 and len(tensor) == n and tensor.dtype != torch.bool


def image_side(shape: tuple[int, ...]) -> tuple[int, int, int] | None:
    """Height, width and channels of an input that is an image; None for one that is none.

    Example:
        >>> image_side((3, 32, 32)), image_side((32, 32, 3)), image_side((784,))
        ((32, 32, 3), (32, 32, 3), (28, 28, 1))
        >>> image_side((30,)), image_side((128, 9))
        (None, None)
    """
    if len(shape) == 3 and shape[0] in _CHANNELS and min(shape[1:]) > 1:
        return shape[1], shape[2], shape[0]
    if is_channels_last(shape):
        return shape[0], shape[1], shape[2]
    if len(shape) == 2 and min(shape) >= LEAST_SIDE and max(shape) <= _LONGEST * min(shape):
        return *shape, 1
    if len(shape) == 1 and isqrt(shape[0]) ** 2 == shape[0] and shape[0] >= LEAST_SIDE**2:
        return isqrt(shape[0]), isqrt(shape[0]), 1
    return None


def is_channels_last(shape: tuple[int, ...]) -> bool:
    """Whether an input is an image whose channels are its last axis."""
    return len(shape) == 3 and shape[0] not in _CHANNELS and shape[2] in _CHANNELS and min(shape[:2]) >= LEAST_SIDE


def as_maps(x: Tensor) -> Tensor:
    """Rows of images as [n, c, h, w]."""
    side = image_side(tuple(x.shape[1:]))
    assert side is not None  # noqa: S101  asked by the caller
    h, w, c = side
    return x if tuple(x.shape[1:]) == (c, h, w) else x.reshape(len(x), h, w, c).movedim(-1, 1)


def from_maps(maps: Tensor, shape: tuple[int, ...]) -> Tensor:
    """Images [n, c, h, w] in the shape in which the model takes one.

    Example:
        >>> rows = torch.arange(192.0).reshape(1, 8, 8, 3)
        >>> bool((from_maps(as_maps(rows), (8, 8, 3)) == rows).all())
        True
    """
    return maps if tuple(maps.shape[1:]) == shape else maps.movedim(1, -1).reshape(len(maps), *shape)
