"""What tells programs where to read names every page of the docs, and nothing that is not there."""

import re
from pathlib import Path

from unbend.cli.main import COMMANDS

DOCS = Path(__file__).parents[1] / "docs"


def test_every_page_of_the_docs_is_listed_once_and_is_there():
    text = (DOCS / "llms.txt").read_text(encoding="utf-8")
    listed = re.findall(r"^- \[(.+?)\]\((.+?)\): ", text, re.MULTILINE)
    assert all(name == place for name, place in listed)
    assert sorted(name for name, _ in listed) == sorted([*(p.name for p in DOCS.glob("*.md")), "schema.json"])


def test_commands_it_names_exist():
    text = (DOCS / "llms.txt").read_text(encoding="utf-8")
    assert set(re.findall(r"`unbend (\w+)", text)) <= set(COMMANDS)
