"""Cells on a plane: faces, the kinks between them, the decision boundary, samples; and all of it moving.

In: `Cells`, optionally its `Boundary`. Out: artists on given axes. Must not know files.
Faces take the colour of their class, or of their pattern: neighbours that differ in few units have near colours, and
the scale reads without hue.
"""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from matplotlib.animation import FuncAnimation
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, PolyCollection
from matplotlib.colors import LinearSegmentedColormap, to_rgb
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke

from unbend._typing import Array, Float64, Int64
from unbend.chart.cells import PATTERN_COLORS, pattern_level
from unbend.numerics.cells.boundary import Boundary
from unbend.numerics.cells.complex import Cells
from unbend.plot.style import INK, PAPER, class_color

PATTERNS = LinearSegmentedColormap.from_list("unbend.patterns", list(PATTERN_COLORS))
"""Dark blue over paper to amber: ordered in lightness at both ends, safe for any colour vision."""

_MANY = 20_000
"""Faces above which fills are drawn as pixels inside a vector figure."""
_SHADE = 0.22


def cells(
    ax: Axes,
    result: Cells,
    *,
    boundary: Boundary | None = None,
    points: Float64[Array, "n 2"] | None = None,
    labels: Int64[Array, "n"] | None = None,
) -> None:
    """All faces with their kinks; with a boundary, coloured by class; with points, the samples on top."""
    _frame(ax, result)
    ax.add_collection(_faces(result, boundary))
    ax.add_collection(_kinks(result, over_classes=boundary is not None))
    if boundary is not None:
        decision(ax, boundary)
    if points is not None:
        samples(ax, points, labels)


def decision(ax: Axes, result: Boundary, *, color: str = INK) -> None:
    """The decision boundary, with a light seam so that it reads on any ground."""
    lines = LineCollection(list(result.polylines), colors=color, linewidths=1.7, capstyle="round", joinstyle="round")
    lines.set_path_effects([withStroke(linewidth=3.4, foreground=PAPER, alpha=0.85)])
    lines.set(zorder=4, gid="boundary")
    ax.add_collection(lines)


def samples(ax: Axes, points: Float64[Array, "n 2"], labels: Int64[Array, "n"] | None = None) -> None:
    """Samples on the plane, coloured by class."""
    colors = [
        INK if labels is None else class_color(int(label)) for label in (labels if labels is not None else points)
    ]
    size = float(np.clip(2400 / max(1, len(points)), 5, 34))
    ax.scatter(*points.T, s=size, c=colors, edgecolors=PAPER, linewidths=0.6, zorder=5, clip_on=False)


def animation(
    figure: Figure,
    ax: Axes,
    frames: Sequence[Cells],
    *,
    boundaries: Sequence[Boundary] | None = None,
    titles: Sequence[str] | None = None,
    interval: int = 120,
) -> FuncAnimation:
    """Snapshots of a training run, one after the other: regions move, fold and vanish.

    A region keeps its colour from frame to frame for as long as its pattern is the same.
    """

    def draw(index: int) -> list[object]:
        ax.clear()
        cells(ax, frames[index], boundary=None if boundaries is None else boundaries[index])
        title = titles[index] if titles is not None else f"{index + 1} of {len(frames)}"
        ax.set_title(f"{title} · {frames[index].n_faces:,} regions", loc="left", parse_math=False)
        return []

    return FuncAnimation(figure, draw, frames=len(frames), interval=interval)  # type: ignore[arg-type]


def _shade(color: str, level: Array) -> Array:
    """A class colour, lighter or darker with the pattern."""
    base = np.asarray(to_rgb(color))
    light = 0.58 + _SHADE * (level[:, None] - 0.5) * 2
    return base + (1.0 - base) * light


def _faces(result: Cells, boundary: Boundary | None) -> PolyCollection:
    corner, ptr = result.corner_ids, result.face_ptr
    level = pattern_level(result)
    if boundary is None:
        polygons = [result.vertices[corner[a:b]] for a, b in pairwise(ptr)]
        colors = PATTERNS(level)[:, :3]
    else:
        whole = np.flatnonzero(boundary.face_class >= 0)
        polygons = [result.vertices[corner[ptr[f] : ptr[f + 1]]] for f in whole]
        ends = boundary.part_ptr
        polygons += [boundary.part_points[a:b] for a, b in pairwise(ends)]
        face = np.concatenate([whole, boundary.part_face])
        kind = np.concatenate([boundary.face_class[whole], boundary.part_class])
        colors = np.empty((len(face), 3))
        for index in np.unique(kind):
            colors[kind == index] = _shade(class_color(int(index)), level[face[kind == index]])
    faces = PolyCollection(polygons, facecolors=colors, edgecolors=colors, linewidths=0.25, antialiaseds=True)
    faces.set(zorder=1, rasterized=len(polygons) > _MANY, gid="faces")
    return faces


def _kinks(result: Cells, *, over_classes: bool) -> LineCollection:
    """The edges, those of early layers heavier; thinner the more there are."""
    inner = result.hinges >= 0
    ends = result.vertices[result.edges[inner]]
    layer = result.network.hinge_units()[0][result.hinges[inner]]
    depth = layer / max(1, len(result.network.groups) - 1)
    weight = float(np.clip(26 / np.sqrt(1 + inner.sum()), 0.05, 0.8))
    lines = LineCollection(list(ends), linewidths=weight * (1.35 - 0.8 * depth))
    lines.set_color([(*to_rgb(INK if over_classes else PAPER), float(a)) for a in 0.75 - 0.4 * depth])
    lines.set(zorder=2, rasterized=len(ends) > 4 * _MANY, gid="kinks")
    return lines


def _frame(ax: Axes, result: Cells) -> None:
    low, high = result.plane.corners.min(axis=0), result.plane.corners.max(axis=0)
    ax.set(xlim=(low[0], high[0]), ylim=(low[1], high[1]), aspect="equal", xticks=[], yticks=[])
    for side in ax.spines.values():
        side.set_visible(False)
