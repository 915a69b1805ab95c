"""Linear read-outs of representations: certified logistic probes, closed forms, controls.

`probe` fits every layer; the other names are its parts, on plain arrays.
"""

from unbend.numerics.probe.certificate import Optimality
from unbend.numerics.probe.logistic import Folds, Path
from unbend.numerics.probe.probes import PATH, Control, Probe, Probes, Recipe, probe

__all__ = ["PATH", "Control", "Folds", "Optimality", "Path", "Probe", "Probes", "Recipe", "probe"]
