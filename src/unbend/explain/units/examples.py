"""Rows of a data set by their numbers, as they can be shown: images, columns, words.

In: the data, row numbers. Out: `Examples`.
"""

from collections.abc import Sequence
from math import isqrt
from typing import Literal, TypeAlias

import numpy as np
import torch
from torch import Tensor

from unbend._names import column_word
from unbend._typing import Array, Int64, Shaped
from unbend.capture.inputs import named_tensors
from unbend.numerics.result import result
from unbend.study.prepare import Preparation
from unbend.study.source import Part

Form: TypeAlias = Literal["image", "columns", "tokens", "none"]
LEAST_SIDE = 7
"""Flat rows are shown as square images from this side on: fewer columns are a table."""
_CHANNELS = (1, 3)
_COLOURS = ("red", "green", "blue")


@result
class Examples:
    """Some rows of a data set.

    Attributes:
        form: how they are shown.
        ids: their row numbers, rising.
        x: the rows: images [s, h, w, c], columns [s, q], or token numbers [s, t].
        y: their labels, as they are coded.
        column_names: of columns; empty where they have none.
    """

    form: Form
    ids: Int64[Array, "s"]
    x: Shaped[Array, "s ..."]
    y: Shaped[Array, "s"]
    column_names: tuple[str, ...] = ()

    def at(self, ids: Int64[Array, "*m"]) -> Int64[Array, "*m"]:
        """Where the rows of these numbers are."""
        return np.searchsorted(self.ids, ids)

    def column(self, number: int) -> str:
        """What a column of the input is called, counted as the input is flattened.

        Example:
            >>> Examples(form="image", ids=np.arange(1), x=np.zeros((1, 8, 8, 3)), y=np.zeros(1)).column(64 + 8 * 2 + 5)
            'the green of the pixel in row 2, column 5'
        """
        if self.form != "image":
            return column_word(self.column_names, number)
        _, h, w, c = self.x.shape
        channel, place = divmod(number, h * w)
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
    wanted = np.unique(ids[ids >= 0])
    kept, labels, numbers = [], [], []
    form: Form = "none"
    for batch in work.rows.batches(part):
        mine = np.flatnonzero(np.isin(batch.ids, wanted, assume_unique=True))
        form, x = picture(work.fit(batch.inputs), len(batch.ids))
        if len(mine):
            kept.append(x[mine])
            numbers.append(batch.ids[mine])
            y = batch.y[torch.from_numpy(mine)].numpy()
            labels.append(y if y.ndim == 1 else y[:, 0])
    if not kept:
        return Examples(form="none", ids=wanted[:0], x=np.zeros((0, 0)), y=wanted[:0])
    found, order = np.concatenate(numbers), np.argsort(np.concatenate(numbers))
    x = _join(kept)[order]
    names = names_of(form, x, work.rows.column_names)
    return Examples(form=form, ids=found[order], x=x, y=np.concatenate(labels)[order], column_names=names)


def names_of(form: Form, x: Shaped[Array, "s ..."], names: tuple[str, ...]) -> tuple[str, ...]:
    """Names of columns, where rows are shown as columns and each has its own.

    Args:
        form: how rows are shown.
        x: the rows.
        names: of the columns of the data set.
    """
    return names if form == "columns" and x.shape[1] == len(names) else ()


def _join(parts: list[Array]) -> Array:
    """Parts one below the other; texts padded to one length."""
    if len({part.shape[1:] for part in parts}) == 1:
        return np.concatenate(parts)
    length = max(part.shape[1] for part in parts)
    return np.concatenate([np.pad(part, ((0, 0), (0, length - part.shape[1]))) for part in parts])


def picture(inputs: object, n: int) -> tuple[Form, Array]:
    """A batch of inputs as it can be shown."""
    tensors = dict(named_tensors(inputs))
    tokens = next((t for name, t in tensors.items() if _is_tokens(t, n) and "mask" not in name), None)
    if tokens is not None:
        return "tokens", tokens.cpu().numpy()
    x = next((t for t in tensors.values() if t.is_floating_point() and t.ndim >= 2 and len(t) == n), None)
    if x is None:
        return "none", np.zeros((n, 0))
    x = x.detach().float().cpu()
    side = image_side(tuple(x.shape[1:]))
    if side is None:
        return ("columns", x.flatten(1).numpy()) if x.ndim == 2 else ("none", np.zeros((n, 0)))
    h, w, c = side
    is_flat = x.ndim < 4
    return "image", (x.reshape(n, h, w, c) if is_flat else x.reshape(n, c, h, w).permute(0, 2, 3, 1)).numpy()


def _is_tokens(tensor: Tensor, n: int) -> bool:
    return not tensor.is_floating_point() and tensor.ndim == 2 and len(tensor) == n and tensor.dtype != torch.bool


def image_side(shape: tuple[int, ...]) -> tuple[int, int, int] | None:
    """Height, width and channels of an input that is an image; None for one that is none.

    Example:
        >>> image_side((3, 32, 32)), image_side((784,)), image_side((30,))
        ((32, 32, 3), (28, 28, 1), None)
    """
    if len(shape) == 3 and shape[0] in _CHANNELS and min(shape[1:]) > 1:
        return shape[1], shape[2], shape[0]
    if len(shape) == 2 and min(shape) >= LEAST_SIDE:
        return *shape, 1
    if len(shape) == 1 and isqrt(shape[0]) ** 2 == shape[0] and shape[0] >= LEAST_SIDE**2:
        return isqrt(shape[0]), isqrt(shape[0]), 1
    return None
