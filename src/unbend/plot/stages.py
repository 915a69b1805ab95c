"""The film of the data on their way through a network, and its stages side by side.

In: a `PlaneFlow`. Out: marks on given axes, figures, frames.
"""

from collections.abc import Iterator

import numpy as np
from jaxtyping import Float64, UInt8
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from unbend.explain.flow import PlaneFlow
from unbend.numerics.polar import polar
from unbend.plot.film import MOST_FRAMES, image_of, kept_frames, moment, n_moments
from unbend.plot.lines import warped_grid
from unbend.plot.scatter import legend, scatter
from unbend.plot.style import FAINT, PAPER, RC, shorten

_ACROSS, _INCHES = 4, 2.3
_ROUNDING = 1e-6
_ROOM = 0.58
"""Half the side of a window, as a share of the extent of its rows."""


def flow(ax: Axes, result: PlaneFlow, i: int, *, is_named: bool = True) -> None:
    """Frame `i` of the film of a flow: the rows, the grid, and what is being done to them.

    An affine step turns, then mirrors or stretches, then shifts, by the polar decomposition of the map of the plane: it
    passes through no collapse unless the layer itself collapses, which a straight line from matrix to matrix would do
    in any half turn. What is left of the step when planes of wider layers are shown moves straight, and so does every
    row in a bend.

    Args:
        ax: where to draw.
        result: from `unbend.flow`.
        i: the frame, from 0 to `n_flow_frames(result) - 1`.
        is_named: whether classes stand in a legend, where they have names.
    """
    step, share = moment(i, len(result.names) - 1)
    points, lines = (_between(result, stages, step, share) for stages in (result.points, result.lines))
    warped_grid(ax, lines)
    names = result.class_names if is_named and result.class_names else None
    scatter(ax, points, result.y, names=names)
    low, high = _window(result, step, share)
    width = result.widths[step + (share > 0)]
    across, up = ("unit 1", "unit 2") if width <= 2 else ("first direction", "second direction")
    ax.set(xlim=(low[0], high[0]), ylim=(low[1], high[1]), xlabel=across, ylabel=up)
    ax.set_aspect("equal", adjustable="box")
    ax.set_title(result.names[step + (share > 0)], loc="left", parse_math=False)
    if names is not None:
        legend(ax)


def n_flow_frames(result: PlaneFlow) -> int:
    """How many frames the film of a flow has: a rest at the input, then a move and a rest for every layer."""
    return n_moments(len(result.names) - 1)


def flow_film(result: PlaneFlow, *, most: int = MOST_FRAMES) -> Iterator[UInt8[np.ndarray, "h w 3"]]:
    """The frames of the film as images; `unbend.plot.film.gif` writes them.

    Args:
        result: from `unbend.flow`.
        most: frames at most.
    """
    with rc_context(RC):
        for i in kept_frames(n_flow_frames(result), most):
            figure = Figure((4.4, 4.6), dpi=110, facecolor=PAPER)
            flow(figure.add_axes((0.13, 0.1, 0.84, 0.82)), result, i, is_named=len(result.class_names) <= 10)
            yield image_of(figure)


def flow_grid(result: PlaneFlow) -> Figure:
    """The stages of a flow side by side."""
    n = len(result.names)
    across = min(n, _ACROSS)
    down = -(-n // across)
    with rc_context(RC):
        figure = Figure((_INCHES * across, _INCHES * down), facecolor=PAPER, layout="constrained")
        axes = figure.subplots(down, across, squeeze=False).ravel()
        for i, ax in enumerate(axes):
            ax.set_visible(i < n)
            if i < n:
                flow_stage(ax, result, i)
                ax.set_title(shorten(result.names[i], 30), loc="left", parse_math=False)
    return figure


def flow_stage(ax: Axes, result: PlaneFlow, i: int) -> None:
    """Stage `i` of a flow at rest: its rows by class, and the grid wherever the layers took it."""
    warped_grid(ax, result.lines[i], width=0.45)
    scatter(ax, result.points[i], result.y, size=2.2)
    middle, around = _frame(result.points[i])
    ax.set(xlim=(middle[0] - around, middle[0] + around), ylim=(middle[1] - around, middle[1] + around))
    ax.set(xticks=[], yticks=[])
    ax.set_aspect("equal", adjustable="box")
    for side in ax.spines.values():
        side.set(visible=True, color=FAINT)


def _between(
    result: PlaneFlow, stages: Float64[np.ndarray, "l *shape 2"], step: int, share: float
) -> Float64[np.ndarray, "*shape 2"]:
    """Where points are on their way from one stage to the next."""
    if not result.is_affine[step]:
        return (1 - share) * stages[step] + share * stages[step + 1]
    mapped = stages[step] @ polar(result.weights[step]).part(share).T + share * result.biases[step]
    rest = stages[step + 1] - (stages[step] @ result.weights[step].T + result.biases[step])
    is_rounding = np.abs(rest).max(initial=0) <= _ROUNDING * np.abs(stages[step + 1]).max(initial=0)
    return mapped if is_rounding else mapped + share * rest


def _frame(points: Float64[np.ndarray, "n 2"]) -> tuple[Float64[np.ndarray, "2"], float]:
    """Middle and half side of a square window round some points."""
    middle = (points.max(axis=0) + points.min(axis=0)) / 2
    return middle, _ROOM * max(float(np.ptp(points, axis=0).max()), 1e-3)


def _window(result: PlaneFlow, step: int, share: float) -> tuple[Float64[np.ndarray, "2"], Float64[np.ndarray, "2"]]:
    """A square window that glides from around one stage to around the next, and holds what is in between."""
    (first, start), (last, end) = (_frame(result.points[i]) for i in (step, step + 1))
    middle = (1 - share) * first + share * last
    now = _between(result, result.points, step, share)
    reach = max((1 - share) * start + share * end, 1.05 * float(np.abs(now - middle).max()))
    return middle - reach, middle + reach
