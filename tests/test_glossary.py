"""One word, one meaning: the glossary is used and in order, and no name is a word that we gave up."""

import ast
import re
from pathlib import Path

import pytest

import unbend

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
