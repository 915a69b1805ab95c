"""What can a linear reader read off each layer? Logistic probes of every layer, fitted on all training rows.

In: all rows of layer after layer, and a sample of held-out rows. Out: `Probes`, each certified to be near its optimum
and judged on the same held-out rows beside the same control task. Rows are dropped when their layer is fitted.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from torch import Tensor

from unbend.errors import DataError
from unbend.numerics.probe import ProbeRecipe, Probes, control_types, probe
from unbend.study.tables import Table


@dataclass(frozen=True, slots=True, eq=False)
class Probing:
    """Probes in the making: fits one layer after the other.

    Attributes:
        held_out: layer → rows and labels that the probes are judged on, the same rows for every layer. Layers that
            have none are passed over.
        recipe: penalties, controls, levels; the same for every layer.
        found: the probes so far.
        types: the control task, the same for every layer.
    """

    held_out: Mapping[str, tuple[Tensor, Tensor]]
    recipe: ProbeRecipe = field(default_factory=ProbeRecipe)
    found: Probes | None = None
    types: Tensor | None = None

    def after(self, table: Table) -> "Probing":
        """With one more layer fitted.

        Raises:
            DataError: a regression has no classes.

        Cost:
            That of `unbend.probe`, seconds for 60,000 rows.
        """
        name, _, rows, y = table
        if y.is_floating_point():
            raise DataError("probes: the targets are numbers; their R² is in every study. Leave probes out.")
        if name not in self.held_out:
            return self
        unseen, y_unseen = self.held_out[name]
        types = self.types
        if types is None:
            types = control_types(rows, unseen, len(y.unique()), self.recipe)
        found = probe({name: rows}, y, test=({name: unseen}, y_unseen), types=types, recipe=self.recipe)
        before = {} if self.found is None else self.found.layers
        return replace(self, found=replace(found, layers={**before, **found.layers}), types=types)

    def result(self) -> Probes:
        """The probes of the layers fitted so far.

        Raises:
            DataError: no row is held out.
        """
        if self.found is None:
            raise DataError("probes: no rows are held out to judge them on. Pass held-out rows, or a share of them.")
        return self.found
