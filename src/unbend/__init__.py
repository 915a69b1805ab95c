"""unbend: a microscope for hidden layers.

Shows, measures and proves what each hidden layer of a PyTorch network does to the data. The public names
load when they are first used, so that `import unbend` stays cheap.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # what editors and type checkers read; packages that answer calls look like functions to them
    from unbend.capture.lower import lower as lower
    from unbend.capture.representations import representations as representations
    from unbend.explain.bottleneck.bottleneck import bottleneck as bottleneck
    from unbend.explain.flow import flow as flow
    from unbend.explain.maps.maps import maps as maps
    from unbend.explain.maximise.maximise import maximise as maximise
    from unbend.explain.saliency import saliency as saliency
    from unbend.explain.shape import shape as shape
    from unbend.explain.steering import adding as adding
    from unbend.explain.steering import steer as steer
    from unbend.explain.surgery.surgery import surgery as surgery
    from unbend.explain.units.units import units as units
    from unbend.integrations.loop import watch as watch
    from unbend.numerics.cells import Plane as Plane
    from unbend.numerics.cells.certificate import certify as certify
    from unbend.numerics.probe import probe as probe
    from unbend.numerics.separable import JointOverlap as JointOverlap
    from unbend.numerics.separable import JointSeparation as JointSeparation
    from unbend.numerics.separable import Overlap as Overlap
    from unbend.numerics.separable import Separation as Separation
    from unbend.numerics.separable import Undecided as Undecided
    from unbend.numerics.separable import separate as separate
    from unbend.record.file import open as open  # noqa: A004  the name of the field for it
    from unbend.record.file import save as save
    from unbend.record.history import open_history as open_history
    from unbend.report.page import report as report
    from unbend.report.run import report_run as report_run
    from unbend.study.compare import compare as compare
    from unbend.study.merge import merge as merge
    from unbend.study.regions import boundary as boundary
    from unbend.study.regions import cells as cells
    from unbend.study.regions import cells_over as cells_over
    from unbend.study.regions import slice_1d as slice_1d
    from unbend.study.runs import compare_runs as compare_runs
    from unbend.study.study import study as study

__version__ = "0.1.0"

# Public name → the module that holds it, and what it is called there.
_HOME: dict[str, tuple[str, str]] = {
    "JointOverlap": ("unbend.numerics.separable", "JointOverlap"),
    "JointSeparation": ("unbend.numerics.separable", "JointSeparation"),
    "Overlap": ("unbend.numerics.separable", "Overlap"),
    "Plane": ("unbend.numerics.cells", "Plane"),
    "Separation": ("unbend.numerics.separable", "Separation"),
    "Undecided": ("unbend.numerics.separable", "Undecided"),
    "adding": ("unbend.explain.steering", "adding"),
    "bottleneck": ("unbend.explain.bottleneck.bottleneck", "bottleneck"),
    "boundary": ("unbend.study.regions", "boundary"),
    "cells": ("unbend.study.regions", "cells"),
    "cells_over": ("unbend.study.regions", "cells_over"),
    "certify": ("unbend.numerics.cells.certificate", "certify"),
    "compare": ("unbend.study.compare", "compare"),
    "compare_runs": ("unbend.study.runs", "compare_runs"),
    "flow": ("unbend.explain.flow", "flow"),
    "lower": ("unbend.capture.lower", "lower"),
    "maximise": ("unbend.explain.maximise.maximise", "maximise"),
    "maps": ("unbend.explain.maps.maps", "maps"),
    "merge": ("unbend.study.merge", "merge"),
    "open": ("unbend.record.file", "open"),
    "open_history": ("unbend.record.history", "open_history"),
    "probe": ("unbend.numerics.probe", "probe"),
    "report_run": ("unbend.report.run", "report_run"),
    "representations": ("unbend.capture.representations", "representations"),
    "separate": ("unbend.numerics.separable", "separate"),
    "saliency": ("unbend.explain.saliency", "saliency"),
    "shape": ("unbend.explain.shape", "shape"),
    "save": ("unbend.record.file", "save"),
    "steer": ("unbend.explain.steering", "steer"),
    "surgery": ("unbend.explain.surgery.surgery", "surgery"),
    "slice_1d": ("unbend.study.regions", "slice_1d"),
    "units": ("unbend.explain.units.units", "units"),
    "watch": ("unbend.integrations.loop", "watch"),
}
_PACKAGES = ("lab", "learn", "load", "plot", "report", "study", "zoo")  # `report` and `study` answer calls

__all__ = ["__version__", *_HOME, *_PACKAGES]


def __getattr__(name: str) -> Any:
    """The public name, from the module that holds it."""
    if name in _PACKAGES:
        return import_module(f"unbend.{name}")
    if name in _HOME:
        module, attribute = _HOME[name]
        return getattr(import_module(module), attribute)
    message = f"module 'unbend' has no attribute {name!r}"
    raise AttributeError(message)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
