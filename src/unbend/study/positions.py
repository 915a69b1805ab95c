"""Labels per position: which positions of an item become rows, and the row that a layer has at each of them.

In: labels [n, *positions] and the outputs of layers. Out: rows, labels and row numbers of the positions that are drawn.
A row stands for a position of the labels; a layer of another resolution is read at its position that covers it, and a
layer without positions gives its one row to all. Must not know models or files.
"""

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import torch
from torch import Tensor

from unbend._typing import Array, Int64
from unbend.capture.taps import Tap
from unbend.errors import DataError
from unbend.load.dataset import IGNORED
from unbend.numerics.hashing import hashes
from unbend.numerics.view import WIDEST, View
from unbend.numerics.views import reduce
from unbend.study.split import FAR

Grid: TypeAlias = tuple[int, ...]
PER_ITEM = 64
"""Positions drawn of each item: neighbours are alike, so that more of one item say little more."""
_LEAST_STRIDE = 1 << 16
_BARE = View("tokens", "mean", 1)
_SALT = 41
_MOST_EXTRA = 5
"""Tokens that may stand in front of those of an image: its class, its registers."""


@dataclass(frozen=True, slots=True, eq=False)
class DrawnPositions:
    """The positions drawn of one batch, in the order of the items.

    Attributes:
        grid: sizes of the positions of a label.
        item: which item of the batch each is of [m].
        place: where it is, counted through the grid [m].
        y: its class index [m], or its targets [m, t].
        ids: its row number [m].
        bare: name of the layer whose axes are all positions, of one number each; empty for none.
    """

    grid: Grid
    item: Tensor
    place: Tensor
    y: Tensor
    ids: Int64[Array, "m"]
    bare: str = ""

    def of_layer(self, values: Tensor, tap: Tap, mask: Tensor | None = None) -> Tensor:
        """The row of each position in a layer's output [m, d]; the mask as in `rows`."""
        if tap.name == self.bare:
            return self.rows(values[..., None], _BARE)
        return self.rows(values, tap.view, mask)

    def view(self, tap: Tap) -> View:
        """How the rows of a layer are read."""
        if tap.name == self.bare:
            return row_view((*tap.shape, 1), _BARE, self.grid)
        return row_view(tap.shape, tap.view, self.grid)

    def rows(self, values: Tensor, view: View, mask: Tensor | None = None) -> Tensor:
        """The row of each position in a layer's output [m, d].

        Args:
            values: the layer's output, its first axis the item.
            view: where its units are.
            mask: for tokens, true where one counts; used where the layer has no position for each.
        """
        sizes = positions_of(values.shape, view)
        at = align(self.grid, sizes, self.place.numpy()) if sizes else None
        item = self.item.to(values.device)
        if at is None:
            return reduce(values, view, mask=mask)[item]
        index = torch.from_numpy(at).to(values.device)
        return values.flatten(2)[item, :, index] if view.layout == "maps" else values.flatten(1, -2)[item, index]

    def input_rows(self, inputs: Tensor) -> Tensor:
        """The same of the input: its channels at that position, or all of it where it has none like these."""
        p = len(self.grid)
        if inputs.ndim == p + 1 and tuple(inputs.shape[1:]) == self.grid:
            return self.rows(inputs[..., None], View("tokens", "mean", 1))
        if inputs.ndim == p + 2:
            is_last = tuple(inputs.shape[1:-1]) == self.grid and tuple(inputs.shape[2:]) != self.grid
            layout = "tokens" if is_last else "maps"
            return self.rows(inputs, View(layout, "mean", inputs.shape[-1 if is_last else 1]))
        return inputs.flatten(1)[self.item.to(inputs.device)]


def positions_of(shape: torch.Size | Grid, view: View) -> Grid:
    """Sizes of the positions of a layer's output; none for features."""
    if view.layout == "features":
        return ()
    return tuple(shape[2:] if view.layout == "maps" else shape[1:-1])


def row_view(shape: Grid, view: View, grid: Grid) -> View:
    """How the rows of a layer are read, one for each position of the labels.

    Args:
        shape: of its output for one item.
        view: where its units are.
        grid: sizes of the positions of a label.
    """
    is_there = positions_of((1, *shape), view) == grid
    width = view.width if view.layout != "features" or len(shape) != 1 else shape[0]
    return View("features", "none", width, WIDEST // 2 if width > WIDEST else 0, is_near=not is_there)


def align(grid: Grid, sizes: Grid, place: Int64[Array, "m"]) -> Int64[Array, "m"] | None:
    """Where a layer has the positions of a grid, counted through its own; None where it has none like them.

    Args:
        grid: sizes of the positions of a label.
        sizes: those of the layer.
        place: positions, counted through the grid.

    Example:
        >>> align((4,), (2,), np.arange(4)), align((2, 2), (5,), np.arange(4)), align((3,), (2, 2), np.arange(3))
        (array([0, 0, 1, 1]), array([1, 2, 3, 4]), None)
    """
    if grid == sizes:
        return place
    if len(grid) == len(sizes):
        nearest = [(2 * at + 1) * s // (2 * g) for at, g, s in zip(_apart(place, grid), grid, sizes, strict=True)]
        return np.ravel_multi_index(tuple(nearest), sizes)
    patches = _patches(grid, sizes[0]) if len(grid) == 2 and len(sizes) == 1 else None
    if patches is None:
        return None
    inner = align(grid, patches, place)
    return None if inner is None else inner + sizes[0] - patches[0] * patches[1]


def _apart(place: Array, grid: Grid) -> tuple[Array, ...]:
    return tuple(np.unravel_index(place, grid))


def _patches(grid: Grid, n: int) -> Grid | None:
    """The rows and columns of patches that n tokens of an image are, up to a few in front; None for no such image."""
    for extra in range(min(_MOST_EXTRA, n - 1) + 1):
        rows = round(((n - extra) * grid[0] / grid[1]) ** 0.5)
        if rows and (n - extra) % rows == 0 and rows * grid[1] == (n - extra) // rows * grid[0]:
            return rows, (n - extra) // rows
    return None


@dataclass(frozen=True, slots=True, eq=False)
class Positions:
    """How positions are drawn: at even steps through those of an item that have a label, from a start that is hashed.

    Attributes:
        n_axes: axes of a label that are positions.
        stride: row numbers that each item takes.
        bare: name of the layer whose axes are all positions, of one number each; empty for none.
    """

    n_axes: int
    stride: int
    bare: str = ""

    @classmethod
    def of(cls, grid: Grid, bare: str = "") -> "Positions":
        """For labels of these sizes, and such as are longer, up to a limit."""
        stride = 1 << max(int(np.prod(grid)) - 1, 1).bit_length()
        return cls(len(grid), max(stride, _LEAST_STRIDE), bare)

    def draw(self, y: Tensor, ids: Int64[Array, "n"], counts: Tensor | None = None) -> DrawnPositions:
        """The positions of one batch.

        Args:
            y: class indices [n, *positions], or targets [n, *positions, t].
            ids: numbers of the items.
            counts: true where a token counts, of the shape of the labels; None for everywhere.

        Raises:
            DataError: more positions than there are row numbers for.
        """
        grid = tuple(y.shape[1 : 1 + self.n_axes])
        if int(np.prod(grid)) > self.stride:
            raise DataError(
                f"y: expected labels at {self.stride:,} positions at most, as the first rows have them, got "
                f"{int(np.prod(grid)):,}. Give all items the same size."
            )
        has_label = self.label_mask(y, counts)
        starts = hashes(ids, _SALT) / 2.0**64
        kept = [_even(np.flatnonzero(mine), start) for mine, start in zip(has_label, starts, strict=True)]
        place = np.concatenate(kept) if kept else np.zeros(0, np.int64)
        item = np.repeat(np.arange(len(ids)), [len(mine) for mine in kept])
        at = torch.from_numpy(item), torch.from_numpy(place)
        base = np.where(ids >= FAR, FAR, 0)
        numbers = (base + (ids - base) * self.stride)[item] + place
        return DrawnPositions(grid, *at, self.flat(y)[at], numbers, self.bare)

    def label_mask(self, y: Tensor, counts: Tensor | None = None) -> Array:
        """Which positions have a label [n, p]."""
        flat = self.flat(y)
        found = (flat != IGNORED).reshape(*flat.shape[:2], -1).any(2).numpy()
        return found if counts is None else found & counts.reshape(found.shape).cpu().numpy()

    def flat(self, y: Tensor) -> Tensor:
        """Labels with one axis of positions [n, p] or [n, p, t]."""
        return y.flatten(1, self.n_axes)


def _even(places: Array, start: float) -> Array:
    """At most `PER_ITEM` of some places, at even steps."""
    if len(places) <= PER_ITEM:
        return places
    at = ((start + np.arange(PER_ITEM)) * len(places) / PER_ITEM).astype(np.int64)
    return places[np.minimum(at, len(places) - 1)]  # a hash of all ones rounds to 1
