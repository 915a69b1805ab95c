"""What a layer that narrows its input lets through: read-outs of all that enters it and of all that leaves it.

In: a subject. Out: `Passage`s. Nothing is reduced, so a fall is the layer's own and not that of a mean over positions.
"""

import math
from collections.abc import Callable
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn

from unbend._typing import Array
from unbend.capture.kinds import kind_of
from unbend.capture.quiet import hear_modules
from unbend.study.examine.references import read_by_trees, read_linearly
from unbend.study.examine.subject import COLUMNS, Sample, Subject
from unbend.study.examine.values import Passage
from unbend.study.examine.weights import Ran, is_affine_layer, is_recurrent

_NARROWER = 3
"""A pool, or an affine layer on maps, narrows when it leaves less than this part of what entered."""
_LOST = 0.05
"""Fall of a linear read-out from which trees need not be asked as well."""
_MOST_TREES = 2
"""Layers that trees read, those that narrow most: what is lost need not be linear."""
Reader: TypeAlias = Callable[[Array, Array, Array, Array], float]
"""Inputs and labels of training, inputs and labels of held-out rows; gives the held-out score."""
_MOST = 6
"""Layers that are read; of more, those that narrow most."""


def passages(subject: Subject, modules: tuple[Ran, ...], last: str | None) -> tuple[Passage, ...]:
    """Layers that narrow what they get, each read before and behind.

    Cost:
        Two passes over the rows examined, and two regressions a layer.
    """
    narrow = [(ratio, each) for each in modules if each.path != last and (ratio := _narrows(subject, each)) > 1]
    chosen = [each for _, each in sorted(narrow, key=lambda pair: -pair[0])[:_MOST]]
    chosen = [each for each in modules if each in chosen]
    if not chosen or not subject.held_out.n:
        return ()
    paths = [each.path for each in chosen]
    train, unseen = (_features(subject, paths, rows) for rows in (subject.train, subject.held_out))

    def read(each: Ran, side: int, reader: Reader) -> float:
        x, u = (torch.nan_to_num(part[each.path][side]).double().numpy() for part in (train, unseen))
        return reader(x, subject.train.y.numpy(), u, subject.held_out.y.numpy())

    def passage(each: Ran, *, by_trees: bool) -> Passage:
        reader = read_by_trees if by_trees else read_linearly
        return Passage(
            layer=each.path,
            kind=kind_of(each.module),
            before=read(each, 0, reader),
            after=read(each, 1, reader),
            units=each.shape_out[1] if len(each.shape_out) == 4 else each.shape_out[-1],
            positions=math.prod(each.shape_out[1:-1] if is_recurrent(each.module) else each.shape_out[2:]),
            by_trees=by_trees,
        )

    linear = [passage(each, by_trees=False) for each in chosen]
    if any(p.before - p.after > _LOST for p in linear):
        return tuple(linear)
    most = sorted(chosen, key=lambda each: -_narrows(subject, each))[:_MOST_TREES]
    return (*linear, *(passage(each, by_trees=True) for each in chosen if each in most))


def _narrows(subject: Subject, each: Ran) -> float:
    """How much narrower what leaves a layer is than what it may need; at most 1 where it does not matter."""
    into, out = (math.prod(shape[1:]) for shape in (each.shape_in, each.shape_out))
    if kind_of(each.module) == "pool" or (is_affine_layer(each.module) and len(each.shape_out) > 2):
        return into / max(_NARROWER * out, 1) if out else 0.0
    if not (is_affine_layer(each.module) or is_recurrent(each.module)):
        return 0.0
    enters = math.prod(each.shape_in[1:]) if is_recurrent(each.module) else each.shape_in[-1]
    needed = min(enters, max(subject.n_classes - 1, _NARROWER))
    return needed / max(each.shape_out[-1], 1)


def _features(subject: Subject, paths: list[str], rows: Sample) -> dict[str, tuple[Tensor, Tensor]]:
    """What enters and what leaves some modules, for all rows, flattened and no wider than can be read."""
    found: dict[str, tuple[list[Tensor], list[Tensor]]] = {path: ([], []) for path in paths}

    def enter(path: str, _module: nn.Module, args: tuple[Any, ...]) -> None:
        found[path][0].append(_flat(args[0]))

    def leave(path: str, module: nn.Module, _args: tuple[Any, ...], out: Any) -> None:
        found[path][1].append(_flat(out[0] if is_recurrent(module) else out))

    parts = dict(subject.model.named_modules())
    with hear_modules([(path, parts[path]) for path in paths], enter, leave):
        subject.outputs(subject.model, rows)
    return {path: (torch.cat(a), torch.cat(b)) for path, (a, b) in found.items()}


def _flat(values: Tensor) -> Tensor:
    """One row a sample; wider ones are averaged in neighbouring groups."""
    flat = values.detach().flatten(1).float().clone()
    if flat.shape[1] <= COLUMNS:
        return flat
    return torch.nn.functional.adaptive_avg_pool1d(flat[:, None], COLUMNS)[:, 0]
