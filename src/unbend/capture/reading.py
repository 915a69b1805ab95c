"""How an output is read: which of its axes are samples, positions and units, and by which view.

In: a shape and the axes that hold samples and units. Out: a `Reading`. Where the planning pass is silent the class of
the module tells, else an earlier output of the same shape, else what is usual.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from torch import nn

from unbend.capture.flow import Site
from unbend.capture.kinds import channels
from unbend.errors import LayerError
from unbend.numerics.view import View


@dataclass(frozen=True, slots=True, eq=False)
class Reading:
    """How an output is read.

    Attributes:
        view: of the output as it is arranged.
        shape: of one sample, arranged.
        time_first: as in `Tap`.
        order: as in `Tap`.
        n_merged: as in `Tap`.
    """

    view: View
    shape: tuple[int, ...]
    time_first: bool = False
    order: tuple[int, ...] = ()
    n_merged: int = 1


def reading(
    shape: Sequence[int], sample: int, units: Sequence[int], *, is_recurrent: bool = False, is_masked: bool = False
) -> Reading:
    """How an output of this shape is read.

    Args:
        shape: of the output.
        sample: the axis of the samples.
        units: the axes that hold units together.
        is_recurrent: whether it is a sequence of states, of which the last is read.
        is_masked: whether some positions are padding; maps are then read as tokens, which know masks.
    """
    rest = [i for i in range(len(shape)) if i != sample and i not in units]
    width = math.prod(shape[i] for i in units)
    second = next((i for i in range(len(shape)) if i != sample), None)
    if not rest:
        order, view = (sample, *units), View("features", "none", width)
    elif len(units) == 1 and units[0] == second and (len(shape) > 3 or sample == 0) and not is_masked:
        order, view = (sample, *units, *rest), View("maps", "mean", width)
    else:
        order, view = (sample, *rest, *units), View("tokens", "last" if is_recurrent else "mean", width)
    sizes = [shape[i] for i in order[1:]]
    merged = (*sizes[: len(sizes) - len(units)], width) if len(units) > 1 else tuple(sizes)
    if order == tuple(range(len(shape))) and len(units) == 1:
        return Reading(view, merged)
    is_turned = order == (1, 0, *range(2, len(shape))) and len(units) == 1
    return Reading(view, merged, time_first=True) if is_turned else Reading(view, merged, False, order, len(units))


def unit_axes(site: Site | None, n_axes: int, sample: int) -> tuple[int, ...]:
    """Where the planning pass saw the units; empty where it did not."""
    if site is None or len(site.parts) != n_axes:
        return ()
    return tuple(i for i in site.unit_axes if i != sample)


def by_class(module: nn.Module | None, n_axes: int, sample: int, alike: View | None) -> tuple[int, ...]:
    """Where the units are by the class of the module, else as in an earlier output of the same shape, else as usual."""
    others = [i for i in range(n_axes) if i != sample]
    where = channels(module)
    if where is None and alike is not None:
        where = "second" if alike.layout == "maps" else "last"
    if where is None:
        where = "second" if n_axes > 3 else "last"
    return (others[0] if where == "second" else others[-1],)


def chosen_axis(axis: Mapping[str, int], name: str, shape: Sequence[int], sample: int) -> tuple[int, ...]:
    """Where the user says the units of a layer are, by the last name or glob that fits; empty if nowhere.

    Raises:
        LayerError: there is no such axis, or it holds the samples.
    """
    found = [number for pattern, number in axis.items() if pattern == name or fnmatchcase(name, pattern)]
    if not found:
        return ()
    at = found[-1] + len(shape) if found[-1] < 0 else found[-1]
    if not 0 <= at < len(shape) or at == sample:
        others = ", ".join(str(i) for i in range(len(shape)) if i != sample)
        raise LayerError(
            f"axis: {name!r} puts out {tuple(shape)}, its samples on axis {sample}; expected one of the axes {others} "
            f"for its units, got {found[-1]}."
        )
    return (at,)
