"""What colours the faces of `Cells`: their activation pattern or their class; and the same as pixels."""

from dataclasses import dataclass

import numpy as np

from unbend._typing import Array, Bool, Float64, Int64
from unbend.numerics.cells.boundary import Boundary
from unbend.numerics.cells.complex import Cells

PATTERN_COLORS = ("#16304f", "#0072b2", "#56b4e9", "#bfe3ee", "#f6efcf", "#f0c35a", "#d98a1f")
"""Dark blue over paper to amber: ordered in lightness at both ends, safe for any colour vision."""


def pattern_ramp(n: int) -> list[str]:
    """`n` colours from one end of `PATTERN_COLORS` to the other."""
    stops = np.array([[int(color[i : i + 2], 16) for i in (1, 3, 5)] for color in PATTERN_COLORS])
    at = np.linspace(0, len(stops) - 1, n)
    mixed = np.stack([np.interp(at, np.arange(len(stops)), channel) for channel in stops.T], axis=1)
    return ["#" + "".join(f"{round(part):02x}" for part in color) for color in mixed.tolist()]


def pattern_level(result: Cells) -> Float64[Array, "f"]:
    """A number in [0, 1] per face: its pattern on one fixed random direction, the units of early layers first.

    It depends on the pattern alone, so that a region keeps its colour in every picture.
    """
    sizes = np.diff(result.network.offsets)
    n = result.network.n_hinges
    weight = np.random.default_rng(11).standard_normal(n)
    weight /= np.repeat(np.sqrt(np.maximum(1, sizes)) * (1.0 + np.arange(len(sizes))), sizes)
    spread = 0.5 * np.sqrt((weight**2).sum()) or 1.0
    level = np.empty(result.n_faces)
    step = max(1, (1 << 24) // (n + 1))
    for at in range(0, result.n_faces, step):
        faces = np.arange(at, min(at + step, result.n_faces))
        level[faces] = (result.bits(faces) - 0.5) @ weight
    return 0.5 + 0.5 * np.tanh(0.9 * level / spread)


@dataclass(frozen=True, slots=True, eq=False)
class Pixels:
    """Faces as pixels, row by row from the top of the window.

    Attributes:
        level: of the pattern of each pixel, in [0, 1].
        kind: the class of each pixel; None without a boundary.
        is_kink: whether a kink lies between a pixel and the one right of it or below it.
    """

    level: Float64[Array, "h w"]
    kind: Int64[Array, "h w"] | None
    is_kink: Bool[Array, "h w"]


def pixels(result: Cells, boundary: Boundary | None, most: int) -> Pixels:
    """The window as pixels, its longer side `most` of them.

    Args:
        result: the cells.
        boundary: their decision boundary, whose classes are told.
        most: pixels of the longer side.

    Cost:
        A search for every pixel: some 10 µs each with 100,000 faces.
    """
    low, high = result.plane.corners.min(axis=0), result.plane.corners.max(axis=0)
    width, height = np.maximum(1, np.round(most * (high - low) / (high - low).max())).astype(int)
    across, up = (np.arange(width) + 0.5) / width, 1 - (np.arange(height) + 0.5) / height
    points = low + np.stack(np.meshgrid(across, up), axis=-1).reshape(-1, 2) * (high - low)
    face = result.locate(points)
    inside = face >= 0
    level = np.where(inside, pattern_level(result)[face], 0.5)
    is_kink = np.zeros((height, width), dtype=bool)
    square = face.reshape(height, width)
    is_kink[:, :-1] |= square[:, :-1] != square[:, 1:]
    is_kink[:-1] |= square[:-1] != square[1:]
    kind = None if boundary is None else _kinds(result, boundary, points, face)
    return Pixels(level.reshape(height, width), None if kind is None else kind.reshape(height, width), is_kink)


def _kinds(
    result: Cells, boundary: Boundary, points: Float64[Array, "n 2"], face: Int64[Array, "n"]
) -> Int64[Array, "n"]:
    """The class of each point: that of its face, or of the point itself where the boundary runs through the face."""
    kind = np.where(face >= 0, boundary.face_class[face], -1)
    mixed = np.flatnonzero((kind < 0) & (face >= 0))
    weight, bias = result.affine(face[mixed])
    scores = np.einsum("nkd,nd->nk", weight, points[mixed]) + bias
    kind[mixed] = scores.argmax(axis=1) if scores.shape[1] > 1 else scores[:, 0] > 0
    return kind
