"""The house: what imports what, how long functions are, and that no two public classes share a name."""

import ast
import io
import re
import tokenize
from collections import defaultdict
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import unbend

ROOT = Path(unbend.__file__).parent
PATHS = sorted(ROOT.rglob("*.py"))
LONGEST = 60


def name_of(path):
    parts = ("unbend", *path.relative_to(ROOT).with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {name_of(path): path for path in PATHS}


@cache
def tree_of(path):
    """Parsed when a test asks, not in every worker that only collects."""
    return ast.parse(path.read_text(encoding="utf-8"))


def is_for_checkers(node):
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


_STATEMENTS = (ast.stmt, ast.excepthandler, ast.match_case)
"""What may hold an import; an expression holds none."""


def imports(tree):
    """Each module of ours that a tree imports, and whether inside a function."""
    left = [(node, False) for node in tree.body]
    while left:
        node, is_hidden = left.pop()
        if is_for_checkers(node):
            continue
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            names = [name if name in MODULES else node.module for name in names]
        yield from ((name, is_hidden) for name in names if name in MODULES)
        is_hidden = is_hidden or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        left += [(child, is_hidden) for child in ast.iter_child_nodes(node) if isinstance(child, _STATEMENTS)]


def test_no_module_imports_itself_through_others_hidden_imports_counted():
    # A package's own __init__ loads its parts, and is loaded before them; that is no circle between modules.
    graph = {
        name: {other for other, _ in imports(tree_of(path)) if other != name and not name.startswith(f"{other}.")}
        for name, path in MODULES.items()
    }
    try:
        list(TopologicalSorter(graph).static_order())
    except CycleError as error:
        pytest.fail(" → ".join(error.args[1]))


REASONS = {
    "__main__": "Ctrl-C is heard while the command line is imported",
    "cli": "help and a mistyped command come at once",
    "lab": "a claim loads what it measures with",
    "zoo": "the parts of the zoo load when they are asked for",
    "numerics.activity": "its States are read from files without what reads tensors",
    "numerics.second": "likewise",
}
"""Packages and modules whose functions may import our own modules, and why."""


def test_imports_hidden_in_functions_have_a_reason():
    hidden = {
        (name, other)
        for name, path in MODULES.items()
        for other, is_hidden in imports(tree_of(path))
        if is_hidden and not {[*name.split("."), ""][1], name.removeprefix("unbend.")} & set(REASONS)
    }
    assert not hidden


def test_no_two_public_classes_share_a_name():
    homes = defaultdict(list)
    for name, path in MODULES.items():
        for node in tree_of(path).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                homes[node.name].append(name)
    assert not {name: places for name, places in homes.items() if len(places) > 1}


def is_compiled(path, function):
    kernels = path.parent.name == "compiled" or path.name.startswith("kernel")
    return kernels or any("jit" in ast.unparse(decorator) for decorator in function.decorator_list)


def code_lines(path):
    """Numbers of the lines that hold code: neither blank nor comment nor docstring."""
    lines, skipped = set(), {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT}
    for token in tokenize.generate_tokens(io.StringIO(path.read_text(encoding="utf-8")).readline):
        if token.type not in skipped:
            lines.update(range(token.start[0], token.end[0] + 1))
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            lines -= set(range(node.lineno, node.end_lineno + 1))
    return lines


def test_no_function_is_longer_than_sixty_lines_of_code():
    long = {}
    for name, path in MODULES.items():
        lines = code_lines(path)
        for node in ast.walk(tree_of(path)):
            if isinstance(node, ast.FunctionDef) and not is_compiled(path, node):
                n = len(lines & set(range(node.lineno, node.end_lineno + 1)))
                if n > LONGEST:
                    long[f"{name}.{node.name}"] = n
    assert not long


def test_every_place_that_the_design_names_is_there():
    root = ROOT.parents[1]
    named = re.findall(
        r"`((?:[\w-]+/)+(?:[\w-]+\.\w+)?|[\w-]+(?:/[\w-]+)+)`", (root / "docs" / "design.md").read_text()
    )
    assert len(named) > 40
    places = {place: [base / f"{place}{end}" for base in (root, ROOT) for end in ("", ".py")] for place in named}
    assert not {place for place, files in places.items() if not any(file.exists() for file in files)}


def test_every_folder_has_its_row_in_the_design():
    text = (ROOT.parents[1] / "docs" / "design.md").read_text()
    folders = {path.name for path in ROOT.iterdir() if path.is_dir() and path.name != "__pycache__"}
    assert not {name for name in folders if f"`{name}/`" not in text}


def test_fields_of_public_dataclasses_are_documented_as_attributes():
    found = set()
    for name, path in MODULES.items():
        for node in (node for node in tree_of(path).body if isinstance(node, ast.ClassDef)):
            marks = {ast.unparse(mark).partition("(")[0] for mark in node.decorator_list}
            words = ast.get_docstring(node) or ""
            if node.name.startswith("_") or not marks & {"dataclass", "result"}:
                continue
            fields = [one.target.id for one in node.body if isinstance(one, ast.AnnAssign)]
            about = words.partition("Attributes:")[2]
            missing = {field for field in fields if field[0] != "_" and not re.search(rf"\b{field}\b.*:", about)}
            if missing or "Args:" in words:
                found.add(f"{name}.{node.name}: {', '.join(sorted(missing))}")
    assert not found


def makers(tree):
    """Each function, and each class by what makes it, with the text that documents its arguments."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            own = [one for one in node.body if isinstance(one, ast.FunctionDef) and one.name == "__init__"]
            yield from ((node.name, one, ast.get_docstring(node) or "") for one in own)
        elif isinstance(node, ast.FunctionDef) and node.name != "__init__":
            yield node.name, node, ast.get_docstring(node) or ""


def test_arguments_that_are_documented_are_all_that_are_taken_in_their_order():
    wrong = {}
    for module, path in MODULES.items():
        for name, node, words in makers(tree_of(path)):
            section = re.search(r"^Args:\n((?: {4}.*\n?|\n)*)", words, re.MULTILINE)
            if section is None:
                continue
            heads = re.findall(r"^ {4}([\w*]+(?:, [\w*]+)*):", section[1], re.MULTILINE)
            told = [one.strip("* ") for head in heads for one in head.split(",")]
            every = [*node.args.posonlyargs, *node.args.args, node.args.vararg, *node.args.kwonlyargs, node.args.kwarg]
            taken = [one.arg for one in every if one is not None and one.arg not in ("self", "cls")]
            if told != [one for one in taken if one in told or one[0] != "_"]:
                wrong[f"{module}.{name}"] = (told, taken)
    assert not wrong


def test_sections_of_docstrings_stand_on_lines_of_their_own():
    beside = re.compile(r"^ +(Args|Attributes|Returns|Raises|Cost|Source|Example): \S", re.MULTILINE)
    places = {f"{path.relative_to(ROOT)}: {m[1]}" for path in PATHS for m in beside.finditer(path.read_text("utf-8"))}
    assert not places


def test_a_rule_is_passed_over_at_most_twice_in_a_file_and_with_a_reason():
    watched = {"capture/live.py", "study/watch/optimiser.py"}  # torch's private names, each for a reason of its own
    for path in PATHS:
        text = path.read_text(encoding="utf-8")
        rules = re.findall(r"# noqa: ([A-Z]+[0-9]+)", text)
        often = (
            {rule for rule in rules if rules.count(rule) > 2}
            if path.relative_to(ROOT).as_posix() not in watched
            else ()
        )
        assert not often, f"{path}: pass over {often} in pyproject.toml, with the reason"
        bare = [line for line in text.splitlines() if re.search(r"# noqa(: [A-Z0-9, ]+)?$", line)]
        assert not bare, f"{path}: {bare}"
