"""Probes of every layer: representations and labels come in, one certified read-out per layer goes out.

Knows arrays and tensors by the name of their layer; must not know models, hooks or files.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float64, Int64, Shaped
from torch import Tensor

from unbend.errors import DataError
from unbend.numerics.floating import as_shipped
from unbend.numerics.interval import paired_difference, wilson
from unbend.numerics.probe.control import control_labels, shuffle, types_of
from unbend.numerics.probe.inputs import (
    Representations,
    Split,
    Table,
    held_out_layer,
    known_classes,
    layers_of,
    require_range,
    type_codes,
)
from unbend.numerics.probe.logistic import fit, folds, path
from unbend.numerics.probe.objective import Rows
from unbend.numerics.probe.precondition import blocks
from unbend.numerics.probe.solve import Solution, at
from unbend.numerics.probe.split import folds_of, held_out_mask
from unbend.numerics.probe.standard import Standard
from unbend.numerics.probe.values import Path, Probe, ProbeControl, Probes

_CONTROL_GAP = 1e-2
_TYPES_PER_CLASS = 20
PATH = (1e-1, 10**-1.5, 1e-2, 10**-2.5, 1e-3, 10**-3.5, 1e-4, 10**-4.5, 1e-5)
"""Penalties that are tried by default, two per decade."""


@dataclass(frozen=True, slots=True)
class ProbeRecipe:
    """How to probe. The same recipe for every layer, so that layers can be compared.

    Attributes:
        l2: penalties to choose from, or a single one. They apply to standardised units and to the *mean* loss:
            scikit-learn's C is `1 / (l2 * n)`.
        test_share: rows held out for the accuracy, where no test set is given.
        choice_share: fitted rows that choose the penalty; they are fitted again with all others afterwards.
        gap: relative optimality gap that must be certified.
        n_folds: also cross-validate with this many folds; 0 does not.
        n_shuffles: fits on shuffled labels.
        n_types: types of the control task; None takes 20 per class, 0 leaves the task out.
        level: of all intervals.
        seed: draws splits, controls and samples.
    """

    l2: float | tuple[float, ...] = PATH
    test_share: float = 0.25
    choice_share: float = 0.2
    gap: float = 1e-3
    n_folds: int = 0
    n_shuffles: int = 1
    n_types: int | None = None
    level: float = 0.95
    seed: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class _Task:
    """What all layers share: labels, splits, control labels."""

    y: Int64[Tensor, " n"]
    y_test: Int64[Tensor, " m"]
    k: int
    choose: Bool[Tensor, " n"] | None
    fold: Int64[Tensor, " n"] | None
    control: Int64[Tensor, " n"] | None
    control_test: Int64[Tensor, " m"] | None
    n_types: int


@as_shipped()
def probe(
    representations: Representations | Iterable[Representations],
    y: Table,
    *,
    test: tuple[Representations | Iterable[Representations], Table] | None = None,
    types: Table | None = None,
    recipe: ProbeRecipe | None = None,
) -> Probes:
    """Linear read-outs of all layers: multinomial logistic regression, each certified to be near its optimum.

    For each layer the units are standardised, the L2 penalty is chosen on a part of the fitted rows, all rows are
    fitted, and the weights are folded back to the representation itself. Accuracy comes from held-out rows with its
    Wilson interval, beside the same probe's accuracy on labels that mean nothing. Every layer sees the same
    rows, so `Probes.difference` compares two layers with the (much shorter) interval for paired rows.

    Args:
        representations: layer to rows; or batches of such mappings, as they stream out of a model. Batches are
            kept in memory, one float32 copy of each layer.
        y: the class of each row, any integers.
        test: held-out rows and their classes; without it, a quarter of the rows is held out, class by class.
        types: the type of each row for the control task, such as its word; the rows of `test` follow. Without
            it, types are cells of the first layer's space.
        recipe: penalties, shares, controls, levels.

    Raises:
        DataError: fewer than two classes, values that are not finite or whose squares float64 cannot hold, a class
            that only `test` has.
        ShapeError: rows and labels that do not fit.

    Cost:
        Per layer some 20 passes over its rows and as many solves with k blocks of width d; memory for one
        standardised copy of one layer at a time.

    Source:
        Alain and Bengio, Understanding intermediate layers using linear classifier probes, 2016.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> y = rng.integers(0, 3, 600)
        >>> noise = rng.normal(size=(600, 4))
        >>> probes = probe({"noise": noise, "line": y[:, None] + 0.2 * noise[:, :1]}, y)
        >>> probes.layers["line"].accuracy > 0.9 > probes.layers["noise"].high
        True
    """
    recipe = recipe or ProbeRecipe()
    layers, y = layers_of(representations, y)
    classes, y = torch.unique(y, return_inverse=True)
    if len(classes) < 2:
        raise DataError(f"y: expected at least two classes, got {len(classes)}. There is nothing to tell apart.")
    if test is None:
        out = held_out_mask(y, recipe.test_share, recipe.seed)
        order = torch.cat([torch.nonzero(~out)[:, 0], torch.nonzero(out)[:, 0]])
        both = {name: Split(h, h, ~out, out) for name, h in layers.items()}
        y, y_test = y[~out], y[out]
    else:
        test_layers, y_test = layers_of(*test)
        y_test, order = known_classes(y_test, classes), None
        both = {name: Split(h, held_out_layer(test_layers, name, h)) for name, h in layers.items()}
    if not len(y_test):
        raise DataError(f"test: no rows are held out of {len(y)}. Pass more rows, or a test set.")
    codes = type_codes(types, order, len(y) + len(y_test))
    task = _task(next(iter(both.values())), (y, y_test, len(classes)), codes, recipe)
    results = {name: _probe(name, *split.rows(), task, recipe) for name, split in both.items()}
    return Probes(
        layers=results,
        classes=classes.numpy(),
        n=len(y),
        n_test=len(y_test),
        level=recipe.level,
        seed=recipe.seed,
    )


def control_types(
    fitted: Shaped[Tensor, "n d"], held: Shaped[Tensor, "m d"], k: int, recipe: ProbeRecipe
) -> Int64[Tensor, " r"] | None:
    """Types of the control task as cells of these rows' space, the fitted rows first; None where it is left out.

    For layers that are probed one call at a time, so that all get the same task.
    """
    n_types = recipe.n_types if recipe.n_types is not None else _TYPES_PER_CLASS * k
    return types_of(fitted, held, n_types, recipe.seed + 3) if n_types else None


def _task(
    first: Split,
    labels: tuple[Int64[Tensor, " n"], Int64[Tensor, " m"], int],
    types: Int64[Tensor, " r"] | None,
    recipe: ProbeRecipe,
) -> _Task:
    y, y_test, k = labels
    choose = None
    if isinstance(recipe.l2, tuple) and len(recipe.l2) > 1:
        choose = held_out_mask(y, recipe.choice_share, recipe.seed + 1)
        choose = choose if choose.any() else None
    fold = folds_of(y, recipe.n_folds, recipe.seed + 2) if recipe.n_folds else None
    if types is None:
        types = control_types(*first.rows(), k, recipe)
    if types is None:
        return _Task(y, y_test, k, choose, fold, None, None, 0)
    control = control_labels(types, y, k, recipe.seed + 4)
    return _Task(y, y_test, k, choose, fold, control[: len(y)], control[len(y) :], int(types.max()) + 1)


def _probe(
    name: str, h: Shaped[Tensor, "n d"], h_test: Shaped[Tensor, "m d"], task: _Task, recipe: ProbeRecipe
) -> Probe:
    """One layer, from standardising to the control."""
    require_range(name, h)
    standard = Standard.of(h)
    rows = Rows.of(standard.apply(h), task.y, task.k)
    l2, chosen, near = _choose(rows, task, recipe)
    start, known = (near.point, near.blocks) if near else (None, None)
    best = fit(rows, l2, recipe.gap, start=start, known=known, seed=recipe.seed)
    crossed = folds(rows, task.fold, l2, near=best.solution, seed=recipe.seed) if task.fold is not None else None
    weight, bias = standard.unstandardise(best.weight[:, :-1], best.weight[:, -1])
    scores = _scores(h_test, weight, bias)
    right = scores.argmax(1).eq(task.y_test).numpy()
    low, high = wilson(int(right.sum()), len(right), recipe.level)
    loss = torch.nn.functional.cross_entropy(scores, task.y_test)
    fitted = (best.solution.point.scores.argmax(0) == task.y).double().mean()
    control = _control(rows, standard, h_test, (right, l2), task, recipe)
    return Probe(
        layer=name,
        weight=weight.numpy(),
        bias=bias.numpy(),
        l2=l2,
        accuracy=float(right.mean()),
        low=float(low),
        high=float(high),
        loss=float(loss),
        right=right,
        train_accuracy=float(fitted),
        optimality=best.optimality,
        path=chosen,
        folds=crossed,
        control=control,
    )


def _choose(rows: Rows, task: _Task, recipe: ProbeRecipe) -> tuple[float, Path | None, Solution | None]:
    """The penalty, the path it was chosen on, and the solution there."""
    l2s = recipe.l2 if isinstance(recipe.l2, tuple) else (recipe.l2,)
    if not l2s or min(l2s) <= 0:
        raise DataError(f"l2: expected positive penalties, got {recipe.l2}. Without one there may be no optimum.")
    if task.choose is None:
        return max(l2s), None, None
    chosen, near = path(rows, task.choose, l2s, seed=recipe.seed)
    return chosen.chosen, chosen, near


def _control(
    rows: Rows,
    standard: Standard,
    h_test: Shaped[Tensor, "m d"],
    real: tuple[Bool[np.ndarray, " m"], float],
    task: _Task,
    recipe: ProbeRecipe,
) -> ProbeControl:
    right, l2 = real
    generator = torch.Generator().manual_seed(recipe.seed)
    known = blocks(rows, at(rows, l2).p, generator, shared=True) if recipe.n_shuffles else None
    memorised = []
    for i in range(recipe.n_shuffles):
        null = rows.with_labels(shuffle(task.y, recipe.seed + 10 + i), task.k)
        found = fit(null, l2, _CONTROL_GAP, known=known, seed=recipe.seed)
        memorised.append(float((found.solution.point.scores.argmax(0) == null.y).double().mean()))
    task_accuracy = selectivity = None
    if task.control is not None and task.control_test is not None:
        drawn, y = torch.unique(task.control, return_inverse=True)
        weight, bias = torch.zeros(1, rows.z.shape[1]).double(), torch.zeros(1).double()
        if len(drawn) > 1:
            found = fit(rows.with_labels(y, len(drawn)), l2, _CONTROL_GAP, seed=recipe.seed).weight
            weight, bias = standard.unstandardise(found[:, :-1], found[:, -1])
        told = drawn[_scores(h_test, weight, bias).argmax(1)].eq(task.control_test).numpy()
        task_accuracy, selectivity = float(told.mean()), paired_difference(right, told, recipe.level)
    chance = float(torch.bincount(task.y).max()) / len(task.y)
    return ProbeControl(
        capacity=float(np.mean(memorised)) if memorised else None,
        chance=chance,
        n_types=task.n_types,
        task_accuracy=task_accuracy,
        selectivity=selectivity,
    )


def _scores(
    h: Shaped[Tensor, "m d"], weight: Float64[Tensor, "k d"], bias: Float64[Tensor, " k"]
) -> Float64[Tensor, "m k"]:
    return torch.cat([block.double() @ weight.T + bias for block in h.split(4096)])
