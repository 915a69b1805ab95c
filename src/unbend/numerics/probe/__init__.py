"""Linear read-outs of representations: certified logistic probes, closed forms, controls.

`probe` fits every layer; the other names are its parts, on plain arrays.
"""

from unbend.numerics.probe.certificate import Optimality
from unbend.numerics.probe.closed import (
    CrossProducts,
    RidgeFolds,
    discriminant,
    join,
    ridge,
    ridge_folds,
    subtract,
    sums,
)
from unbend.numerics.probe.logistic import Folds, Path
from unbend.numerics.probe.probes import PATH, Probe, ProbeControl, ProbeRecipe, Probes, control_types, probe
from unbend.numerics.probe.regression import Regression, regress
from unbend.numerics.probe.suite import ClosedForm, closed_form

__all__ = [
    "PATH",
    "ClosedForm",
    "CrossProducts",
    "Folds",
    "Optimality",
    "Path",
    "Probe",
    "ProbeControl",
    "ProbeRecipe",
    "Probes",
    "Regression",
    "RidgeFolds",
    "closed_form",
    "control_types",
    "discriminant",
    "join",
    "probe",
    "regress",
    "ridge",
    "ridge_folds",
    "subtract",
    "sums",
]
