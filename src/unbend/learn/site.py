"""The course as a site of plain files that opens offline: one page a lesson, and each as notebook and Markdown.

In: a folder. Out: files in it. Must not know the terminal.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from unbend.errors import MissingExtraError
from unbend.files import whole
from unbend.learn import export, markup
from unbend.learn.running import MeasuredLesson, run
from unbend.learn.source import Lesson, LessonPart, lesson, lessons, page_text
from unbend.learn.terms import anchor, link_terms, terms
from unbend.report.html import fill, looks, template, text
from unbend.study.progress import Progress, remark, silent

PAGES = {"install": "Install", "glossary": "Glossary", "teachers": "For teachers"}
"""Pages beside the lessons."""
_SHOWN_HERE = "What comes out"
_FIRST_CELL = re.compile(r"<tr>\n<td>([^<]+)</td>")


def write(folder: Path, names: Sequence[str] | None = None, *, progress: Progress | None = None) -> list[Path]:
    """Run lessons and write their pages, with an index and the pages beside them; says where they are.

    Each lesson is written as soon as it has run. The index lists all that stand in the folder, from earlier calls too.

    Args:
        folder: where they go; made if it is not there.
        names: of the lessons to run; when left out, all whose packages are installed.
        progress: told before each lesson is run, and of one that is left out.

    Raises:
        RecordError: a file cannot be written.
        DataError: a lesson's code fails.
        MissingExtraError: a package is not installed that a named lesson needs.

    Cost:
        The code of all lessons takes about 30 s of processor time, and as much again where nothing is compiled yet; a
        page is 40 to 200 kB.
    """
    folder.mkdir(parents=True, exist_ok=True)
    written = [_put(folder / f"{name}.html", plain_page(title, page_text(name))) for name, title in PAGES.items()]
    written.append(_put_index(folder))
    done: dict[str, MeasuredLesson] = {}
    for ran in _run(names, progress or silent):
        done[ran.lesson.name] = ran
        written.append(_put_lesson(folder, ran, done))
        _put_index(folder)
    return written


def _run(names: Sequence[str] | None, tell: Progress) -> Iterator[MeasuredLesson]:
    """The lessons one by one; of a whole course, those that lack a package are left out and named."""
    chosen = list(map(lesson, names or lessons()))
    for place, one in enumerate(chosen):
        tell("lessons", place, len(chosen))
        try:
            ran = run(one)
        except MissingExtraError as error:
            if names is not None:
                raise
            remark(tell, f"Left out: {error}")
        else:
            yield ran
            tell(f"{one.number} {one.name} is written.", 0, None)
    tell("lessons", len(chosen), len(chosen))


def _put_lesson(folder: Path, ran: MeasuredLesson, done: Mapping[str, MeasuredLesson]) -> Path:
    """A lesson as soon as it has run, and the links to it from those of this call that stand beside it."""
    name = ran.lesson.name
    _put(folder / f"{name}.svg", ran.figure)
    _put(folder / f"{name}.md", export.markdown(ran, f"{name}.svg"))
    _put(folder / f"{name}.py", export.notebook(ran))
    there = [one for one in lessons() if one == name or _page(folder, one).exists()]
    known = [lesson(one) for one in there]
    near = dict(zip(there, zip([None, *known], [*known[1:], None], strict=False), strict=False))
    place = there.index(name)
    for one in there[max(place - 1, 0) : place + 2]:
        if one in done:
            _put(_page(folder, one), lesson_page(done[one], near[one]))
    return _page(folder, name)


def _put_index(folder: Path) -> Path:
    """The list of all lessons that stand in the folder."""
    return _put(folder / "index.html", index_page([lesson(one) for one in lessons() if _page(folder, one).exists()]))


def _page(folder: Path, name: str) -> Path:
    return folder / f"{name}.html"


def lesson_page(ran: MeasuredLesson, near: tuple[Lesson | None, Lesson | None] = (None, None)) -> str:
    """One lesson as HTML.

    Args:
        ran: the lesson, run.
        near: the lessons before and after it.
    """
    left = terms()
    sections = [
        {
            "title": section.title,
            "anchor": section.title.lower().replace(" ", "-"),
            "is_result": section.title == _SHOWN_HERE,
            "parts": [_part(ran, part, left) for part in section.parts],
        }
        for section in ran.lesson.sections
    ]
    return _render(
        "lesson.html", title=ran.lesson.title, lesson=ran.lesson, sections=sections, figure=markup.Markup(ran.figure),
        lead=markup.html(ran.fill(ran.lesson.lead)), asked=ran.prediction, before=near[0], after=near[1],
    )  # fmt: skip


def _part(ran: MeasuredLesson, part: LessonPart, left: dict[str, str]) -> dict[str, object]:
    if part.kind == "python":
        return {"kind": "python", "html": markup.code(part.text)}
    if part.kind == "live":
        data = ran.live(part.text)
        return {"kind": "live", "data": json.dumps(data), "caption": data["caption"]}
    if part.kind == "prediction":
        return {"kind": "prediction"}
    return {"kind": "text", "html": markup.html(link_terms(ran.fill(part.text), left))}


def index_page(chosen: Sequence[Lesson]) -> str:
    """The list of lessons."""
    return _render("index.html", title="The course", lessons=[(one, markup.html(one.lead)) for one in chosen])


def plain_page(title: str, source: str) -> str:
    """A page of text; rows of its tables can be linked to by the words in their first cells."""
    body = _FIRST_CELL.sub(lambda cell: f'<tr>\n<td id="{anchor(cell[1])}">{cell[1]}</td>', markup.html(source))
    return _render("plain.html", title=title, body=markup.Markup(body))


def _render(name: str, **words: object) -> str:
    style = looks("code") + text("unbend.learn", "page.css")
    blank = template("unbend.learn", name)
    return fill(blank, "lesson", style, is_strict=False, pages=PAGES, **words)


def _put(path: Path, words: str) -> Path:
    with whole(path, "the course") as temporary:
        temporary.write_text(words, encoding="utf-8")
    return path
