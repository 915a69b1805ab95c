"""How far a flat map keeps the neighbours that rows have in a layer.

In: rows of a layer, and the same rows in a plane. Out: shares. Must not know how the plane was made.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from unbend._typing import Array, Bool, Float64, Int64, Shaped

ANCHORS = 1000
"""Rows around which neighbours are compared at most; their neighbours are looked for among all rows."""
NEIGHBOURS = 10
_BLOCK = 4_000_000
"""Distances that are held at once."""


@dataclass(frozen=True, slots=True, eq=False)
class Ranks:
    """In which order all rows lie around some of them.

    Attributes:
        anchors: the rows in the middle [a].
        rank: the place of each row in the order of distance from an anchor, which has place 0 itself [a, n].
    """

    anchors: Int64[Array, "a"]
    rank: Shaped[Array, "a n"]

    @property
    def n(self) -> int:
        """Rows."""
        return self.rank.shape[1]


def ranks(rows: Float64[Array, "n d"]) -> Ranks:
    """The order of all rows by distance from each of at most 1,000, evenly spaced among them.

    Cost:
        O(a n d), and sorting n distances for each anchor.
    """
    n = len(rows)
    anchors = np.unique(np.linspace(0, n - 1, min(n, ANCHORS)).round().astype(np.int64))
    rank = np.empty((len(anchors), n), np.int32)
    place = np.arange(n, dtype=np.int32)
    for start, distances in _distances(rows, anchors):
        order = np.argsort(distances, axis=1)
        np.put_along_axis(rank[start : start + len(distances)], order, np.broadcast_to(place, order.shape), 1)
    return Ranks(anchors, rank)


def nearest(points: Float64[Array, "n d"], anchors: Int64[Array, "a"], k: int) -> Int64[Array, "a k"]:
    """The `k` rows nearest to each anchor, the nearest first; the anchor itself is none of them."""
    found = np.empty((len(anchors), k), np.int64)
    for start, distances in _distances(points, anchors):
        near = np.argpartition(distances, k, axis=1)[:, : k + 1]
        order = np.argsort(np.take_along_axis(distances, near, 1), axis=1, kind="stable")
        found[start : start + len(distances)] = np.take_along_axis(near, order, 1)[:, 1:]
    return found


def _distances(rows: Float64[Array, "n d"], anchors: Int64[Array, "a"]) -> Iterator[tuple[int, Array]]:
    """Squared distances from the anchors to all rows, some anchors at a time; that to itself is below all others."""
    size = (rows**2).sum(1)
    step = max(1, _BLOCK // len(rows))
    for start in range(0, len(anchors), step):
        mine = anchors[start : start + step]
        distances = size[mine, None] - 2 * rows[mine] @ rows.T + size
        distances[np.arange(len(mine)), mine] = -np.inf
        yield start, distances


def trustworthiness(layer: Ranks, near: Int64[Array, "a k"]) -> float:
    """Whether rows that are neighbours in the plane are near in the layer: 1 if all are, about ½ for a random plane.

    Every neighbour in the plane that is none in the layer costs as many points as it lies behind the k-th there.

    Args:
        layer: the order of the rows in the layer.
        near: the nearest rows in the plane, around the same anchors.

    Source:
        Venna and Kaski 2001.
    """
    a, k = near.shape
    far = np.maximum(np.take_along_axis(layer.rank, near, 1).astype(np.int64) - k, 0)
    return float(1 - 2 * far.sum() / (a * k * (2 * layer.n - 3 * k - 1)))


def preservation(layer: Ranks, near: Int64[Array, "a k"]) -> float:
    """Share of the nearest rows in the layer that are nearest rows in the plane too; k / (n - 1) by chance."""
    return float((np.take_along_axis(layer.rank, near, 1) <= near.shape[1]).mean())


def agreement(near: Int64[Array, "a k"], other: Int64[Array, "a k"]) -> float:
    """Share of the nearest rows in one plane that are nearest rows in another."""
    return float((near[:, :, None] == other[:, None, :]).any(2).mean())


def neighbour_accuracy(
    points: Float64[Array, "n d"], y: Int64[Array, "n"], held_out: Bool[Array, "n"], k: int = NEIGHBOURS
) -> float:
    """Share of the held-out rows whose class most of their `k` nearest training rows have; NaN without such rows."""
    if not held_out.any() or (~held_out).sum() < k:
        return float("nan")
    from sklearn.neighbors import KNeighborsClassifier  # noqa: PLC0415  slow to import

    known = KNeighborsClassifier(n_neighbors=k).fit(points[~held_out], y[~held_out])
    return float((known.predict(points[held_out]) == y[held_out]).mean())
