"""A direction in a layer: from all other rows to a class, or the one along which a read-out scores it.

In: class means, or a read-out. Out: a `Direction`, which can be projected on, compared, and added to an activation.
"""

import numpy as np

from unbend._typing import Array, Float64, Tensor
from unbend.errors import DataError, ShapeError
from unbend.numerics.centroids import Centroids, CentroidState, centroids
from unbend.numerics.readout import Readout
from unbend.numerics.result import result
from unbend.numerics.second import SecondState


@result
class Direction:
    """A direction in the space of a layer's units.

    Attributes:
        layer: which layer.
        name: what it leads to.
        kind: "mean" for the difference of class means, "readout" for the weight of a linear read-out, "random".
        vector: of length 1 [d].
        length: what a step of 1 along it stands for: the distance of the class mean from the mean of all other rows.
        origin: the mean of all other rows, from which it leads [d].
    """

    layer: str
    name: str
    kind: str
    vector: Float64[Array, "d"]
    length: float
    origin: Float64[Array, "d"]

    @property
    def step(self) -> Float64[Array, "d"]:
        """The whole way: `length` along `vector`."""
        return self.length * self.vector

    def project(self, x: Tensor) -> Tensor:
        """How far rows [..., d] lie along it, in steps: about 0 for other rows, about 1 for the class.

        Raises:
            ShapeError: rows of another width.
        """
        if x.shape[-1] != len(self.vector):
            raise ShapeError(f"x: expected rows of {len(self.vector)} numbers, got {x.shape[-1]}.")
        import torch

        origin, vector = (torch.from_numpy(part).to(x) for part in (self.origin, self.vector))
        return (x - origin) @ vector / self.length

    def cosine(self, other: "Direction") -> float:
        """The cosine of the angle with a direction among the same units: of one layer, a residual stream, a checkpoint.

        Two networks that were trained apart have units of their own, which no cosine tells anything of: `alike`.

        Raises:
            ShapeError: another width.
        """
        if len(other.vector) != len(self.vector):
            raise ShapeError(f"other: expected a direction among {len(self.vector)} units, got {len(other.vector)}.")
        return float(self.vector @ other.vector)

    def alike(self, x: Tensor, other: "Direction", other_x: Tensor) -> float:
        """The correlation, over the same rows, of how far they lie along this direction and along another one.

        It compares directions of any two layers, also of layers of unlike width and of two models.

        Args:
            x: the rows in this direction's layer [n, d].
            other: the other direction.
            other_x: the same rows in the layer of that one [n, e].

        Raises:
            ShapeError: rows of another width, or not as many.

        Example:
            >>> import torch
            >>> rows, turn = torch.randn(50, 2), torch.tensor([[0.0, 1.0], [-1.0, 0.0]])
            >>> def way(*vector):
            ...     return Direction(layer="0", name="b", kind="mean", vector=np.array(vector), length=1.0,
            ...                      origin=np.zeros(2))
            >>> way(1.0, 0.0).cosine(way(0.0, 1.0)), round(way(1.0, 0.0).alike(rows, way(0.0, 1.0), rows @ turn), 3)
            (0.0, 1.0)
        """
        if len(x) != len(other_x) or len(x) < 2:
            raise ShapeError(f"other_x: expected the same rows, two at least, got {len(x)} and {len(other_x)}.")
        places = (one.project(rows.detach().double()) for one, rows in ((self, x), (other, other_x)))
        own, theirs = (place.cpu() - place.cpu().mean() for place in places)
        size = float(own.norm() * theirs.norm())
        return float(own @ theirs) / size if size > 0 else 0.0

    def random(self, seed: int = 0) -> "Direction":
        """A direction drawn evenly from all, of the same length and origin: what it is to be compared with."""
        drawn = np.random.default_rng(seed).standard_normal(len(self.vector))
        return Direction(layer=self.layer, name="random", kind="random", vector=drawn / np.linalg.norm(drawn),
                         length=self.length, origin=self.origin)  # fmt: skip


def row_means(second: SecondState) -> Centroids:
    """The class means of rows as they were reduced, which need not be the mean over positions.

    Args:
        second: second moments of the rows, their targets a column a class.

    Example:
        >>> import torch
        >>> rows, targets = torch.tensor([[1.0], [3.0], [8.0]]), torch.tensor([[1.0, 0], [1, 0], [0, 1]])
        >>> row_means(SecondState.of_rows(rows, targets)).mean.tolist()
        [[2.0], [8.0]]
    """
    state = second.settle()
    n = np.round(state.n * state.y_mean)
    return centroids(CentroidState.from_sums(n.astype(np.int64), n[:, None] * state.mean + state.cross.T))


def mean_direction(means: Centroids, label: int, *, layer: str, name: str) -> Direction:
    """From the mean of all other rows to the mean of a class.

    Args:
        means: of the classes.
        label: which class.
        layer: what it is a direction of.
        name: of the class.

    Raises:
        DataError: no such class, or no row of it, or its mean is that of the others.

    Example:
        >>> means = Centroids(n=np.array([1, 3]), mean=np.array([[0.0, 0], [3, 4]]), selectivity=np.zeros(2))
        >>> mean_direction(means, 1, layer="0", name="b").length
        5.0
    """
    _check(label, len(means.n))
    others, mine = _ends(means, label)
    gap = mine - others
    length = float(np.linalg.norm(gap))
    if not length > 0:
        raise DataError(
            f"label: the rows of class {name} have the mean of all others in {layer!r}; nothing leads there."
        )
    return Direction(layer=layer, name=name, kind="mean", vector=gap / length, length=length, origin=others)


def readout_direction(found: Readout, means: Centroids, label: int, *, layer: str, name: str) -> Direction:
    """The direction along which a linear read-out scores a class above the mean of the others.

    Args:
        found: the read-out.
        means: of the classes, in the same units.
        label: which class.
        layer: what it is a direction of.
        name: of the class.

    Raises:
        DataError: no such class; a read-out of another form than the class means, as of a flattened or sketched layer.
    """
    _check(label, len(found.weight))
    if found.weight.shape != means.mean.shape:
        raise DataError(f"{layer!r}: its read-out reads {found.weight.shape[1]} numbers, not its {means.mean.shape[1]} "
                        "units. Reduce it over positions (reduce='mean').")  # fmt: skip
    weight = found.weight[label] - np.delete(found.weight, label, axis=0).mean(0)
    size = float(np.linalg.norm(weight))
    if not size > 0:
        raise DataError(f"label: the read-out of {layer!r} does not tell class {name} from the others.")
    others, mine = _ends(means, label)
    return Direction(layer=layer, name=name, kind="readout", vector=weight / size,
                     length=float(np.linalg.norm(mine - others)), origin=others)  # fmt: skip


def _check(label: int, k: int) -> None:
    if not 0 <= label < k or k < 2:
        raise DataError(f"label: expected a class from 0 to {k - 1}, got {label}.")


def _ends(means: Centroids, label: int) -> tuple[Float64[Array, "d"], Float64[Array, "d"]]:
    """The mean of all rows of other classes, and that of the class."""
    rest = np.delete(np.arange(len(means.n)), label)
    weight = means.n[rest] * np.isfinite(means.mean[rest]).all(1)
    if not weight.any() or not np.isfinite(means.mean[label]).all():
        raise DataError(f"label: class {label}, or every other one, has no rows.")
    return (weight @ np.nan_to_num(means.mean[rest])) / weight.sum(), means.mean[label]
