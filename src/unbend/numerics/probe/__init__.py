"""Linear read-outs of representations: certified logistic probes, closed forms, controls.

`probe` fits every layer; the other names are its parts, on plain arrays. What is saved loads
at once, what fits when it is first asked for: saved probes are read without it.
"""

from typing import TYPE_CHECKING

from unbend._lazy import on_demand
from unbend.numerics.probe.values import Folds, Optimality, Path, Probe, ProbeControl, Probes

if TYPE_CHECKING:
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
    from unbend.numerics.probe.probes import PATH, ProbeRecipe, control_types, probe
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

__getattr__ = on_demand(
    __name__,
    {
        "closed": ("CrossProducts", "RidgeFolds", "discriminant", "join", "ridge", "ridge_folds", "subtract", "sums"),
        "probes": ("PATH", "ProbeRecipe", "control_types", "probe"),
        "regression": ("Regression", "regress"),
        "suite": ("ClosedForm", "closed_form"),
    },
)
