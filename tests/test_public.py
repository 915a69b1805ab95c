"""The public names: what editors are told is what Python finds."""

import ast
import inspect
import subprocess
import sys
from dataclasses import fields, is_dataclass
from importlib import import_module
from pathlib import Path
from typing import get_args, get_type_hints

import pytest

import unbend
from unbend.lab import claim, claims
from unbend.numerics.state import MEASURES
from unbend.record.schema import classes, reachable, result_of
from unbend.study.across import ACROSS


def told():
    """Name → (module, name there), of the imports for type checkers."""
    tree = ast.parse(Path(unbend.__file__).read_text(encoding="utf-8"))
    (block,) = (node for node in tree.body if isinstance(node, ast.If))
    return {line.names[0].asname: (line.module, line.names[0].name) for line in block.body}


def test_editors_are_told_of_every_name_and_where_it_is():
    assert told().keys() - unbend._HOME.keys() == {"report", "study"}
    assert {name: place for name, place in told().items() if name in unbend._HOME} == unbend._HOME


def test_every_name_is_found():
    for name, (module, attribute) in unbend._HOME.items():
        assert getattr(unbend, name) is getattr(import_module(module), attribute)
    assert set(unbend.__all__) <= set(dir(unbend))


@pytest.mark.parametrize("name", ["learn", "plot", "numerics.probe", "numerics.separable"])
def test_names_that_load_on_demand_are_listed_and_found(name):
    package = import_module(f"unbend.{name}")
    assert set(package.__all__) <= set(dir(package))
    assert all(getattr(package, each).__name__ == each for each in package.__all__ if each[0].islower())
    with pytest.raises(AttributeError, match=f"module 'unbend.{name}' has no attribute 'nothing'"):
        package.nothing  # noqa: B018  the lookup is the point


def returned():
    """What public functions, measures and the experiments of the lab say they return."""
    packages = [import_module(f"unbend.{name}") for name in ("lab", "learn", "load", "zoo")]
    public = [getattr(unbend, name) for name in unbend._HOME]
    public += [getattr(package, name) for package in packages for name in package.__all__]
    public += [claim(name).run for name in claims()]
    hints = [get_type_hints(each).get("return") for each in public if inspect.isfunction(each)]
    results = [result_of(name) for name in MEASURES] + [entry.kind for entry in ACROSS.values()]
    return [*hints, *results, *(each for each in public if isinstance(each, type))]


GENERATORS = {"dataclasses", "reprlib"}
"""Where Python makes the `repr` of a dataclass that has none of its own."""
SETTINGS = {"View", "Check", "ProbeRecipe", "Recipe", "Grid", "Initial", "WatchedLayer"}
"""Values of a few numbers and words, whose own `repr` is the call that makes them."""


def test_what_public_functions_return_prints_in_one_line():
    kinds = {**reachable(*returned()), **classes()}
    assert len(kinds) > 100
    made = {name for name, kind in kinds.items() if Path(kind.__repr__.__code__.co_filename).stem in GENERATORS}
    assert made == SETTINGS & kinds.keys()


def test_every_result_is_given_by_keyword():
    of_measures = [result_of(name) for name in MEASURES] + [entry.kind for entry in ACROSS.values()]
    of_functions = [get_type_hints(getattr(unbend, name)).get("return") for name in ("cells", "boundary", "slice_1d")]
    of_functions += [get_type_hints(getattr(unbend, name))["return"] for name in ("maps", "surgery", "units", "steer")]
    of_functions += [get_type_hints(claim(name).run)["return"] for name in claims()]
    of_all = [*of_measures, *of_functions]
    kinds = {kind for hint in of_all for kind in get_args(hint) or (hint,) if is_dataclass(kind)}
    assert len(kinds) > 40
    assert not {kind.__name__ for kind in kinds if not all(field.kw_only for field in fields(kind))}


def test_importing_unbend_is_cheap():
    code = "import sys, unbend; assert not {'torch', 'numpy', 'numba'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
