"""The course as a site of plain files that opens offline: one page a lesson, and each as notebook and Markdown.

In: a folder. Out: files in it. Must not know the terminal.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from unbend.errors import MissingExtraError
from unbend.files import whole
from unbend.learn import export, markup
from unbend.learn.running import MeasuredLesson, run
from unbend.learn.source import Lesson, LessonPart, lesson, lessons, page_text
from unbend.report.html import fill, looks, template, text

PAGES = {"install": "Install", "glossary": "Glossary", "teachers": "For teachers"}
"""Pages beside the lessons."""
_SHOWN_HERE = "What comes out"


def write(
    folder: Path, names: Sequence[str] | None = None, *, progress: Callable[[str], None] | None = None
) -> list[Path]:
    """Run lessons and write their pages, with an index and the pages beside them; says where they are.

    Args:
        folder: where they go; made if it is not there.
        names: of the lessons to run; when left out, all whose packages are installed. The index lists what is written.
        progress: called with a sentence before each lesson is run, and for one that is left out.

    Raises:
        RecordError: a file cannot be written.
        DataError: a lesson's code fails.
        MissingExtraError: a package is not installed that a named lesson needs.

    Cost:
        The code of all lessons takes about 40 s of processor time, and as much again where nothing is compiled yet; a
        page is 40 to 200 kB.
    """
    folder.mkdir(parents=True, exist_ok=True)
    found = list(_run(names, progress or (lambda _sentence: None)))
    chosen = [one.lesson for one in found]
    written = []
    beside = [None, *chosen, None]
    for place, ran in enumerate(found):
        name = ran.lesson.name
        written.append(_put(folder / f"{name}.html", lesson_page(ran, (beside[place], beside[place + 2]))))
        _put(folder / f"{name}.svg", ran.figure)
        _put(folder / f"{name}.md", export.markdown(ran, f"{name}.svg"))
        _put(folder / f"{name}.py", export.notebook(ran))
    for name, title in PAGES.items():
        written.append(_put(folder / f"{name}.html", plain_page(title, page_text(name))))
    written.append(_put(folder / "index.html", index_page(chosen)))
    return written


def _run(names: Sequence[str] | None, tell: Callable[[str], None]) -> Iterator[MeasuredLesson]:
    """The lessons one by one; of a whole course, those that lack a package are left out and named."""
    for one in map(lesson, names or lessons()):
        tell(f"Running {one.name} …")
        try:
            yield run(one)
        except MissingExtraError as error:
            if names is not None:
                raise
            tell(f"Left out: {error}")


def lesson_page(ran: MeasuredLesson, near: tuple[Lesson | None, Lesson | None] = (None, None)) -> str:
    """One lesson as HTML.

    Args:
        ran: the lesson, run.
        near: the lessons before and after it.
    """
    sections = [
        {
            "title": section.title,
            "anchor": section.title.lower().replace(" ", "-"),
            "is_result": section.title == _SHOWN_HERE,
            "parts": [_part(ran, part) for part in section.parts],
        }
        for section in ran.lesson.sections
    ]
    return _render(
        "lesson.html", title=ran.lesson.title, lesson=ran.lesson, sections=sections, figure=markup.Markup(ran.figure),
        lead=markup.html(ran.fill(ran.lesson.lead)), asked=ran.prediction, before=near[0], after=near[1],
    )  # fmt: skip


def _part(ran: MeasuredLesson, part: LessonPart) -> dict[str, object]:
    if part.kind == "python":
        return {"kind": "python", "html": markup.code(part.text)}
    if part.kind == "live":
        data = ran.live(part.text)
        return {"kind": "live", "data": json.dumps(data), "caption": data["caption"]}
    if part.kind == "prediction":
        return {"kind": "prediction"}
    return {"kind": "text", "html": markup.html(ran.fill(part.text))}


def index_page(chosen: Sequence[Lesson]) -> str:
    """The list of lessons."""
    return _render("index.html", title="The course", lessons=[(one, markup.html(one.lead)) for one in chosen])


def plain_page(title: str, source: str) -> str:
    """A page of text."""
    return _render("plain.html", title=title, body=markup.html(source))


def _render(name: str, **words: object) -> str:
    style = looks("code") + text("unbend.learn", "page.css")
    blank = template("unbend.learn", name)
    return fill(blank, "lesson", style, is_strict=False, pages=PAGES, **words)


def _put(path: Path, words: str) -> Path:
    with whole(path, "the course") as temporary:
        temporary.write_text(words, encoding="utf-8")
    return path
