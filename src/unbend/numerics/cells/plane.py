"""A convex polygon on a two-dimensional plane in input space.

In: points of the input space. Out: `Plane`, a value. Must not know networks.
"""

from dataclasses import dataclass
from typing import SupportsFloat

import numpy as np

from unbend._one_line import in_one_line
from unbend._typing import Array, Float64
from unbend.errors import DataError, ShapeError

_FLAT = 1e-9
"""A triangle flatter than this share of its base is three points on one line: its direction `v` would be noise."""


@dataclass(frozen=True, slots=True, eq=False)
class Plane:
    """The points `origin + s * u + t * v`, for `(s, t)` inside the convex polygon `corners`.

    Attributes:
        origin: a point of the input space.
        u: the direction of the first coordinate.
        v: the direction of the second.
        corners: the polygon in plane coordinates, counter-clockwise.

    Example:
        >>> Plane.box((-1.0, -1.0), (1.0, 1.0)).area
        4.0
    """

    origin: Float64[Array, "d"]
    u: Float64[Array, "d"]
    v: Float64[Array, "d"]
    corners: Float64[Array, "m 2"]

    __repr__ = in_one_line

    def __post_init__(self) -> None:
        if not all(np.isfinite(part).all() for part in (self.origin, self.u, self.v, self.corners)):
            raise DataError("plane: expected finite numbers, got nan or inf. Check the points.")
        _check_dimensions(self.origin, self.u, self.v)
        if np.linalg.matrix_rank(np.stack([self.u, self.v])) < 2:
            raise DataError(
                "plane: expected two independent directions u and v, got parallel or zero ones. "
                "Choose points that do not lie on one line."
            )
        if not _is_convex(self.corners):
            raise ShapeError(
                f"corners: expected a convex polygon, counter-clockwise, of at least 3 corners, got "
                f"{self.corners.tolist()}. Reorder them or split the polygon."
            )

    @classmethod
    def box(cls, low: tuple[SupportsFloat, SupportsFloat], high: tuple[SupportsFloat, SupportsFloat]) -> "Plane":
        """The box itself, for networks of two inputs.

        Args:
            low: its least two coordinates.
            high: its greatest.

        Raises:
            ShapeError: `low` is not below `high`.
            DataError: a coordinate is not finite.
        """
        return cls(np.zeros(2), np.array([1.0, 0.0]), np.array([0.0, 1.0]), rectangle(low, high))

    @classmethod
    def through(
        cls,
        a: Float64[Array, "..."],
        b: Float64[Array, "..."],
        c: Float64[Array, "..."],
        *,
        margin: float = 0.25,
    ) -> "Plane":
        """The plane through three points, and on it the square around them.

        The origin is their mean, `u` and `v` are orthonormal with `u` along `b - a`, so that distances and
        areas on the plane are those of the input space.

        Args:
            a: a point of any shape, such as an image; it is flattened.
            b: another.
            c: a third.
            margin: the frame left round the points, as a share of the square's side.

        Raises:
            DataError: the points lie on one line, or are not finite.
            ShapeError: they are not of one space.
        """
        flat_points = [np.asarray(p, np.float64).ravel() for p in (a, b, c)]
        _check_dimensions(*flat_points)
        points = np.stack(flat_points)
        origin = points.mean(axis=0)
        u = points[1] - points[0]
        length = np.linalg.norm(u)
        w = points[2] - points[0]
        w = w - (w @ u) / max(length**2, np.finfo(float).tiny) * u
        height = np.linalg.norm(w)
        if min(length, height) <= _FLAT * max(length, height):
            raise DataError("plane: expected three points in general position, got three on one line.")
        u, v = u / length, w / height
        flat = (points - origin) @ np.stack([u, v], axis=1)
        low, high = flat.min(axis=0), flat.max(axis=0)
        half = (0.5 + margin) * float((high - low).max())
        middle = 0.5 * (low + high)
        corners = rectangle(tuple(middle - half), tuple(middle + half))
        return cls(origin, u, v, corners)

    @classmethod
    def at(cls, origin: Float64[Array, "..."], u: Float64[Array, "..."], v: Float64[Array, "..."]) -> "Plane":
        """The parallelogram `origin + s * u + t * v` with `s` and `t` from -1 to 1.

        Args:
            origin: its middle, a point of any shape.
            u: half of one side, of the shape of the point.
            v: half of the other.

        Raises:
            DataError: `u` and `v` are parallel, or a number is not finite.
            ShapeError: they are not of one space.
        """
        flat = (np.asarray(p, np.float64).ravel() for p in (origin, u, v))
        return cls(*flat, corners=rectangle((-1.0, -1.0), (1.0, 1.0)))

    def jitter(self, share: float = 1e-6, seed: int = 0) -> "Plane":
        """The plane moved by chance, by a share of its size: what coincides on it by equal inputs then lies apart.

        Args:
            share: length of the moves of the origin and of both directions, of the polygon's half-width.
            seed: of the moves.
        """
        noise = np.random.default_rng(seed).standard_normal((3, len(self.origin)))
        noise *= share / np.linalg.norm(noise, axis=1, keepdims=True)
        half = float(np.abs(self.corners - self.corners.mean(axis=0)).max())
        lengths = half * np.linalg.norm(self.u), np.linalg.norm(self.u), np.linalg.norm(self.v)
        origin, u, v = (
            part + length * move
            for part, length, move in zip((self.origin, self.u, self.v), lengths, noise, strict=True)
        )
        return Plane(origin, u, v, self.corners)

    @property
    def basis(self) -> Float64[Array, "d 2"]:
        """`u` and `v` as columns."""
        return np.stack([self.u, self.v], axis=1)

    @property
    def area(self) -> float:
        """The polygon's area in plane coordinates."""
        x, y = self.corners.T
        return float(0.5 * (x @ np.roll(y, -1) - y @ np.roll(x, -1)))

    def lift(self, points: Float64[Array, "n 2"]) -> Float64[Array, "n d"]:
        """Plane coordinates to points of the input space."""
        return self.origin + points @ self.basis.T

    def project(self, x: Float64[Array, "n d"]) -> tuple[Float64[Array, "n 2"], Float64[Array, "n"]]:
        """Plane coordinates of the nearest points on the plane, and the distances to it."""
        coordinates, *_ = np.linalg.lstsq(self.basis, (x - self.origin).T, rcond=None)
        gap = x - self.lift(coordinates.T)
        return np.ascontiguousarray(coordinates.T), np.linalg.norm(gap, axis=1)


def rectangle(
    low: tuple[SupportsFloat, SupportsFloat], high: tuple[SupportsFloat, SupportsFloat]
) -> Float64[Array, "4 2"]:
    """The corners of a box, counter-clockwise."""
    (x0, y0), (x1, y1) = low, high
    return np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]], np.float64)


def _check_dimensions(*points: Float64[Array, "..."]) -> None:
    """Refuse points and directions that are not of one space."""
    sizes = [len(point) for point in points]
    if len(set(sizes)) > 1:
        raise ShapeError(f"plane: expected points and directions of one space, got {sizes} numbers. Give rows alike.")


def _is_convex(corners: Float64[Array, "m 2"]) -> bool:
    """Every turn strictly to the left, once round."""
    if len(corners) < 3:
        return False
    side = np.roll(corners, -1, axis=0) - corners
    after = np.roll(side, -1, axis=0)
    turn = side[:, 0] * after[:, 1] - side[:, 1] * after[:, 0]
    angle = np.arctan2(turn, (side * after).sum(axis=1)).sum()
    return bool((turn > 0).all() and abs(angle - 2 * np.pi) < 1)
