"""One word, one meaning: the glossary is used and in order, and no name is a word that we gave up."""

import ast
import re
from pathlib import Path

import pytest

import unbend
from unbend.study.findings import RULES
from unbend.study.history.rules import RUN_RULES

ROOT = Path(unbend.__file__).parent
GLOSSARY = ROOT.parents[1] / "docs" / "glossary.md"
ENTRY = re.compile(r"^- \*\*(.+?)\*\*: ", re.MULTILINE)

GIVEN_UP = {
    "Held": "HeldOut, or kept",
    "Drawn": "BottomK",
    "Bend": "Saturation, or Activation",
    "Ear": "_Events",
    "Eye": "_Describer",
    "Glimpse": "_Record",
    "Analyzer": "the verb",
    "Manager": "the verb",
    "Twin": "UntrainedTwin",
}
"""Class names that had several meanings or were pet names, and what is said instead."""


def entries():
    return [word.strip() for words in ENTRY.findall(GLOSSARY.read_text()) for word in words.split(",")]


def test_no_word_stands_twice():
    words = entries()
    assert len(words) > 40
    assert sorted(words) == sorted(set(words))


@pytest.mark.parametrize("word", entries())
def test_every_word_is_used(word):
    spoken = re.compile(re.escape(word).replace(r"\ ", r"[\s_-]").replace(r"\-", r"[\s_-]?"), re.IGNORECASE)
    texts = (*ROOT.rglob("*.py"), *(path for path in GLOSSARY.parent.glob("*.md") if path != GLOSSARY))
    assert any(spoken.search(path.read_text()) for path in texts)


def test_no_class_has_a_name_that_was_given_up():
    found = {
        f"{path.relative_to(ROOT)}: {node.name}, say {GIVEN_UP[node.name.strip('_')]}"
        for path in ROOT.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ClassDef) and node.name.strip("_") in GIVEN_UP
    }
    assert not found


PARTICIPLES = {
    "begun", "bent", "born", "bound", "broken", "built", "caught", "chosen", "done", "drawn", "fallen", "found",
    "frozen", "given", "gone", "grown", "heard", "held", "hidden", "kept", "known", "laid", "left", "lost", "made",
    "met", "paid", "proven", "said", "seen", "sent", "shown", "sought", "spent", "stolen", "stood", "stuck", "sung",
    "swept", "taken", "thrown", "told", "understood", "won", "worn", "written",
}  # fmt: skip
"""Those that do not end in -ed."""
NOUNS = {
    "hidden": "the hidden activations of a claim of the lab",
    "embed": "a verb",
    "seed": "a verb",
    "undecided": "the Result of this name is what comes back",
}
"""Names that only look like bare participles, or name what is returned."""


def functions(node):
    """Functions under a node but for properties, which are values, and context managers, which name a state."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            marks = {ast.unparse(mark).rpartition(".")[2] for mark in child.decorator_list}
            if not marks & {"property", "cached_property", "contextmanager"}:
                yield child.name
        yield from functions(child)


def test_no_function_is_named_by_a_bare_participle():
    rules = {rule.__name__ for rule in (*RULES, *RUN_RULES)}  # named as the findings they make are
    found = {
        f"{path.relative_to(ROOT)}: {name}"
        for path in ROOT.rglob("*.py")
        for name in functions(ast.parse(path.read_text()))
        if (name.strip("_") in PARTICIPLES or re.fullmatch("_?[a-z]{3,}ed", name)) and name not in {*rules, *NOUNS}
    }
    assert not found


def test_no_function_of_the_views_is_named_by_a_bare_participle():
    sources = [*(GLOSSARY.parents[1] / "web" / "src").rglob("*.ts")]
    names = {name for path in sources for name in re.findall(r"function (\w+)", path.read_text(encoding="utf-8"))}
    assert len(names) > 100
    assert not {name for name in names if name in PARTICIPLES or re.fullmatch("[a-z]{3,}ed", name)} - NOUNS.keys()
