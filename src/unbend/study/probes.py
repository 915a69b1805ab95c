"""What can a linear reader read off each layer? Logistic probes of every layer, fitted on all training rows.

In: how to collect the rows of layers, and a sample of held-out rows. Out: `Probes`, each certified to be near its
optimum and judged on the same held-out rows beside the same control task. Rows are collected by the fold that proofs
use, a few layers at a time, and dropped when their layer is fitted.
"""

from collections.abc import Callable, Iterable, Mapping

from torch import Tensor

from unbend._typing import Array
from unbend.errors import DataError
from unbend.numerics.probe import Probe, Probes, Recipe, control_types, probe


def probed(
    tables: Iterable[tuple[str, Array, Tensor, Tensor]],
    held_out: Mapping[str, tuple[Tensor, Tensor]],
    *,
    recipe: Recipe | None = None,
    tick: Callable[[int], None] = lambda _n: None,
) -> Probes:
    """Probe every layer.

    Args:
        tables: layer after layer: its name, row numbers, rows and labels of all training rows, such as `Tables`.
        held_out: layer → rows and labels that the probes are judged on, the same rows for every layer. Layers that
            have none are passed over.
        recipe: penalties, controls, levels; the same for every layer.
        tick: called after each layer.

    Raises:
        DataError: a regression has no classes, or no row is held out.

    Cost:
        One forward pass per GiB of rows; per layer the cost of `unbend.probe`, seconds for 60,000 rows.
    """
    recipe = recipe or Recipe()
    found: dict[str, Probe] = {}
    types, last = None, None
    for name, _, rows, y in tables:
        if y.is_floating_point():
            raise DataError("probes: the targets are numbers; their R² is in every study. Leave probes out.")
        if name in held_out:
            unseen, y_unseen = held_out[name]
            if types is None:
                types = control_types(rows, unseen, len(y.unique()), recipe)
            last = probe({name: rows}, y, test=({name: unseen}, y_unseen), types=types, recipe=recipe)
            found |= last.layers
        tick(1)
    if last is None:
        raise DataError("probes: no rows are held out to judge them on. Pass held-out rows, or a share of them.")
    return Probes(found, last.classes, last.n, last.n_test, last.level, last.seed)
