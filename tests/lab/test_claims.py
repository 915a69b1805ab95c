"""What every claim of the lab must keep: its fields, its imports, and that a copy of its code gives its numbers."""

import ast
import inspect
import math
import os
import re
import subprocess
import sys
from dataclasses import fields, is_dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import get_type_hints

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure

from unbend.errors import LoadError
from unbend.lab import Check, Verdict, claim, claims, results
from unbend.lab.claims import SECTIONS, card
from unbend.lab.page import code
from unbend.lab.pictures import look
from unbend.lab.results import Run
from unbend.record.schema import reachable
from unbend.record.tree import TreeReader
from unbend.zoo import DATA_SETS

NAMES = claims()
DOCUMENT = Path(__file__).parents[2] / "docs" / "lab.md"
EVERY_TIME = (
    "affine_collapse", "xor_by_hand", "xor_impossible", "neuron", "sawtooth", "xor_trained", "sin_fit",
)  # fmt: skip
"""Claims that are run again, from the same seed and from another, where `UNBEND_LAB` does not say which."""
WITHOUT_CHANCE = ("xor_by_hand", "xor_impossible")
"""Claims whose numbers are the same for every seed."""
TO_ROUNDING = ("activations", "affine_collapse")
"""Claims that multiply matrices of few rows, whose sums BLAS may order by where the memory happens to lie."""
_SHARED = {"unbend.lab.claim", "unbend.lab.draw", "unbend.lab.flow"}


def run_again():
    """The names of all claims; those that `UNBEND_LAB` (`all`, or a third such as `2/3`) does not name are skipped."""
    wanted = os.environ.get("UNBEND_LAB", "")
    share = re.fullmatch(r"([123])/3", wanted)
    if wanted not in ("", "all") and share is None:
        raise ValueError(f"UNBEND_LAB: expected all, 1/3, 2/3 or 3/3, got {wanted!r}.")
    chosen = NAMES if wanted == "all" else NAMES[int(share[1]) - 1 :: 3] if share else EVERY_TIME
    skip = pytest.mark.skip(reason="run with UNBEND_LAB=all")
    return [pytest.param(name, marks=() if name in chosen else skip) for name in NAMES]


def assert_same(one, other, where="result", *, rtol=0.0, atol=0.0):
    """Every number is the same, to the last bit where no tolerance is given."""
    close = {"rtol": rtol, "atol": atol}
    if is_dataclass(one):
        assert type(one).__name__ == type(other).__name__
        for field in fields(one):
            assert_same(getattr(one, field.name), getattr(other, field.name), f"{where}.{field.name}", **close)
    elif isinstance(one, dict):
        assert list(one) == list(other)
        for key in one:
            assert_same(one[key], other[key], f"{where}[{key!r}]", **close)
    elif isinstance(one, tuple | list):
        assert len(one) == len(other)
        for i, (left, right) in enumerate(zip(one, other, strict=True)):
            assert_same(left, right, f"{where}[{i}]", **close)
    elif isinstance(one, str) or one is None:
        assert one == other, where
    else:
        np.testing.assert_allclose(one, other, **close, err_msg=where)


def test_every_claim_of_the_list_is_there():
    assert list(NAMES) == [name for names in SECTIONS.values() for name in names]


@pytest.mark.parametrize("name", NAMES)
def test_its_words_are_filled(name):
    one = claim(name)
    module = import_module(f"unbend.lab.{name}")
    assert one.name == name
    assert name in SECTIONS[one.section]
    assert one.told.endswith((".", "?"))
    assert len((module.__doc__ or "").split()) > 20
    assert set(one.needs) <= set(DATA_SETS)
    assert (one.film is None) == (one.n_frames is None)
    parameters = inspect.signature(one.run).parameters
    assert {key: value.default for key, value in parameters.items()} == {"seed": 0, "budget": "full"}


@pytest.mark.parametrize("name", NAMES)
def test_its_card_says_what_the_claim_says(name):
    one, words = claim(name), card(name)
    assert {field.name: getattr(words, field.name) for field in fields(words)} == {
        field.name: getattr(one, field.name) for field in fields(words)
    }
    assert words.told_by


@pytest.mark.parametrize("name", NAMES)
def test_its_result_is_plain_and_every_field_is_explained(name):
    kind = get_type_hints(claim(name).run)["return"]
    for each in reachable(kind).values():
        assert is_dataclass(each)
        assert each.__dataclass_params__.frozen
        assert hasattr(each, "__slots__")
        unexplained = [field.name for field in fields(each) if f"{field.name}:" not in (each.__doc__ or "")]
        assert not unexplained, f"{each.__name__} does not explain {unexplained}"


def public_names(module):
    """What a reader may import from a module of unbend."""
    if module == "unbend.errors":
        return {name for name in vars(import_module(module)) if name.endswith("Error")}
    return {*import_module(module).__all__, *({"draw", "flow"} if module == "unbend.lab" else ())}


@pytest.mark.parametrize("name", NAMES)
def test_it_imports_only_what_is_public(name):
    tree = ast.parse(inspect.getsource(import_module(f"unbend.lab.{name}")))
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: a copy of the code cannot import relatively"
            if (node.module or "").partition(".")[0] == "unbend" and node.module not in _SHARED:
                public = public_names(node.module)
                private = [alias.name for alias in node.names if alias.name not in public]
                assert not private, f"line {node.lineno}: {private} of {node.module} is not public"
        if isinstance(node, ast.Import):
            ours = [alias.name for alias in node.names if alias.name.partition(".")[0] == "unbend"]
            assert ours in ([], ["unbend"])


@pytest.mark.parametrize("name", NAMES)
def test_its_numbers_bear_it_out_and_the_documents_say_so(name, quick):
    one, result = claim(name), quick(name)
    verdict = one.holds(result)
    assert verdict.passed, [check for check in verdict.checks if not check.passed]
    assert any(check.reason for check in verdict.checks)
    said = [check.what for check in verdict.checks]
    assert len(set(said)) == len(said), "numbers of one name are shown as one over seeds"
    assert one.finding(result)
    row = f"| `{name}` | {one.told} | {verdict.outcome} | {verdict.truth} |"
    assert row in DOCUMENT.read_text()


@pytest.mark.parametrize("name", NAMES)
def test_its_figure_says_what_its_axes_are(name, quick):
    one, result = claim(name), quick(name)
    with look(name):
        figure = Figure(layout="constrained")
        one.draw(result, figure)
        shown = [axes for axes in figure.axes if axes.axison and axes.get_visible()]
        assert shown
        for labels in ([axes.get_xlabel() for axes in shown], [axes.get_ylabel() for axes in shown]):
            assert any(labels)
        if one.film is not None and one.n_frames is not None:
            for i in (0, one.n_frames(result) - 1):
                frame = Figure()
                one.film(result, frame, i)
                assert frame.axes


@pytest.mark.parametrize("name", NAMES)
def test_a_run_that_was_saved_is_read_back(name, quick, tmp_path):
    one, result = claim(name), quick(name)
    verdict = one.holds(result)
    run = Run(name, 0, "quick", "passed", result=result, verdict=verdict, finding=one.finding(result))
    results.save(run, one, tmp_path)
    saved = results.open_run(one, "quick", 0, tmp_path)
    assert saved is not None
    assert_same(saved.result, result)
    assert saved.verdict is not None
    assert saved.verdict.checks == verdict.checks


@pytest.mark.parametrize("name", run_again())
def test_a_copy_of_its_code_gives_the_same_numbers_and_its_figure(name, quick, tmp_path, monkeypatch, capsys):
    one, result = claim(name), quick(name)
    run = Run(name, 0, "quick", "passed", result=result, finding=one.finding(result))
    state, threads = torch.get_rng_state(), torch.get_num_threads()
    monkeypatch.chdir(tmp_path)
    namespace = {"__name__": "__main__"}
    exec(compile(code(one, run), "notebook", "exec"), namespace)
    close = {"rtol": 1e-6, "atol": 1e-9} if name in TO_ROUNDING else {}
    assert_same(namespace["result"], result, **close)
    # A finding may print a rounding error, such as 1.8e-14.
    found, expected = (
        re.sub(r"[-\d.,e+%]+", "#", text) if close else text for text in (capsys.readouterr().out.strip(), run.finding)
    )
    assert found == expected
    assert (tmp_path / f"{name}.png").stat().st_size > 2000
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.get_num_threads() == threads


@pytest.mark.parametrize("name", run_again())
def test_another_seed_gives_other_numbers_that_bear_it_out_too(name, quick):
    one, result = claim(name), quick(name)
    other = one.run(1, "quick")
    verdict = one.holds(other)
    assert verdict.passed, [check for check in verdict.checks if not check.passed]
    assert verdict.outcome == one.holds(result).outcome
    if name in WITHOUT_CHANCE:
        assert_same(other, result)
    else:
        with pytest.raises(AssertionError):
            assert_same(other, result)


def test_a_name_that_is_not_there_says_which_are_near():
    with pytest.raises(LoadError, match="Did you mean 'xor_trained'"):
        claim("xor_traned")
    with pytest.raises(LoadError, match="There are: affine_collapse, "):
        claim("q")


def test_a_result_that_holds_something_else_is_refused(tmp_path):
    one = claim("neuron")
    run = Run("neuron", 0, "quick", "passed", result=one.run(0, "quick"))
    bad = replace(run, result=object())
    with pytest.raises(ValueError, match="expected numbers"):
        results.save(bad, one, tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_verdict_names_the_checks_that_failed():
    checks = (Check("right", 1, 0, 2), Check("low", -1, low=0), Check("no number", math.nan, 0, 1), Check("told", 5))
    assert Verdict("holds", "So it is.", checks).failed == ("low", "no number")
    assert not Verdict("holds", "So it is.", checks).passed
    passed = Verdict("holds", "So it is.", checks[::3])
    assert passed.failed == ()
    assert passed.passed


def test_importing_the_list_imports_no_claim():
    words = "import sys, unbend.lab; print([m for m in sys.modules if m.startswith('unbend.lab.xor')])"
    assert subprocess.run([sys.executable, "-c", words], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_the_command_that_lists_imports_neither_torch_nor_drawing():
    words = (
        "import sys; from unbend.cli import main; sys.argv = ['unbend', 'lab']\n"
        "try: main()\nfinally: print([m for m in ('torch', 'matplotlib', 'scipy', 'numba') if m in sys.modules])"
    )
    ended = subprocess.run([sys.executable, "-c", words], capture_output=True, text=True, check=False)
    assert ended.stdout.endswith("[]\n"), ended.stderr
    assert "xor_trained" in ended.stdout


def test_known_classes_cover_what_a_result_holds():
    assert set(reachable(get_type_hints(claim("affine_collapse").run)["return"])) == {"AffineCollapse", "PlaneFlow"}
    assert TreeReader({}, reachable(Run)).known["Run"] is Run
