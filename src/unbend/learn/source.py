"""A lesson: a Markdown file with a fixed order of sections, taken apart into text, code, a prediction and live figures.

In: the name of a lesson. Out: a `Lesson` of plain parts. Must not know how code is run or how a page looks.
"""

import difflib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files
from typing import Literal, TypeAlias

from unbend._one_line import in_one_line
from unbend.errors import LoadError

Kind: TypeAlias = Literal["text", "python", "prediction", "live"]
_FENCE = re.compile(r"^```(\w+)\n(.*?)^```\n", re.MULTILINE | re.DOTALL)
_KINDS: dict[str, Kind] = {"python": "python", "prediction": "prediction", "live": "live"}

SECTIONS = (
    "Introduction",
    "Explain it to me simply",
    "The mathematics",
    "In depth",
    "Demonstration",
    "Your prediction",
    "What comes out",
    "Exercises",
    "Summary",
    "Key takeaways",
)
"""The sections of every lesson, in this order."""
_NAMES = (
    "neurons",
    "affine_collapse",
    "activations",
    "xor",
    "strip",
    "separability",
    "regions",
    "universal",
    "vanishing",
    "dead_units",
    "sparsity",
    "pretrained",
)


@dataclass(frozen=True, slots=True)
class LessonPart:
    """A piece of a lesson.

    Attributes:
        kind: text in Markdown, Python that runs, a prediction to make, or a live figure.
        text: its source, without the fence.
    """

    kind: Kind
    text: str

    __repr__ = in_one_line


@dataclass(frozen=True, slots=True)
class LessonSection:
    """What stands under one heading of a lesson.

    Attributes:
        title: the heading, one of `SECTIONS`.
        parts: in order.
    """

    title: str
    parts: tuple[LessonPart, ...]

    __repr__ = in_one_line

    def code(self) -> tuple[str, ...]:
        """Its Python blocks."""
        return tuple(part.text for part in self.parts if part.kind == "python")


@dataclass(frozen=True, slots=True)
class Lesson:
    """One lesson of the course.

    Attributes:
        name: how it is called on the command line.
        number: its place in the course, from 1.
        title: the first heading of its file.
        lead: the sentence under it.
        sections: `SECTIONS`, in order.
    """

    name: str
    number: int
    title: str
    lead: str
    sections: tuple[LessonSection, ...]

    __repr__ = in_one_line

    def section(self, title: str) -> LessonSection:
        """The section of that title."""
        return next(one for one in self.sections if one.title == title)

    def code(self) -> tuple[str, ...]:
        """All Python blocks, in order; they share their names, so that each builds on those before it."""
        return tuple(block for one in self.sections for block in one.code())


def lessons() -> tuple[str, ...]:
    """The names of all lessons, in the order of the course.

    Example:
        >>> lessons()[:3]
        ('neurons', 'affine_collapse', 'activations')
    """
    return tuple(name for name in _NAMES if _file(name).is_file())


def lesson(name: str) -> Lesson:
    """The lesson of that name.

    Args:
        name: one of `lessons()`.

    Raises:
        LoadError: a name that is not there.

    Example:
        >>> lesson("xor").title
        'XOR: why a hidden layer at all'
    """
    if name not in lessons():
        near = difflib.get_close_matches(name, lessons(), n=3, cutoff=0.5)
        hint = f"Did you mean {' or '.join(map(repr, near))}?" if near else f"There are: {', '.join(lessons())}."
        raise LoadError(f"learn: no lesson named {name!r}. {hint}")
    return parse(name, page_text(name))


def parse(name: str, text: str) -> Lesson:
    """A lesson from the text of its file.

    Raises:
        LoadError: sections that are missing, too many, or in another order.
    """
    head, *rest = re.split(r"^## (.+)\n", text, flags=re.MULTILINE)
    title, _, lead = head.strip().removeprefix("# ").partition("\n")
    sections = tuple(LessonSection(rest[i], tuple(_parts(rest[i + 1]))) for i in range(0, len(rest), 2))
    found = tuple(section.title for section in sections)
    if found != SECTIONS:
        raise LoadError(f"{name}: expected the sections {', '.join(SECTIONS)}, got {', '.join(found)}.")
    return Lesson(name, 1 + _NAMES.index(name) if name in _NAMES else 0, title, lead.strip(), sections)


def page_text(name: str) -> str:
    """The source of a lesson, or of one of the other pages: `glossary`, `teachers`, `install`."""
    return _file(name).read_text(encoding="utf-8")


def _file(name: str):  # noqa: ANN202  importlib's Traversable moved between Pythons
    return files("unbend.learn").joinpath("lessons", f"{name}.md")


def _parts(text: str) -> Iterator[LessonPart]:
    """Text and fenced blocks in turn; a block of another kind stays in the text."""
    at = 0
    for block in _FENCE.finditer(text):
        kind = _KINDS.get(block[1])
        if kind is None:
            continue
        if text[at : block.start()].strip():
            yield LessonPart("text", text[at : block.start()].strip("\n") + "\n")
        yield LessonPart(kind, block[2])
        at = block.end()
    if text[at:].strip():
        yield LessonPart("text", text[at:].strip("\n") + "\n")
