"""The page of the lab: every claim with its verdict, numbers, figure, film and code, in one file that opens offline.

In: entries, and the folder that holds their pictures. Out: HTML. It must not know how claims are run.
"""

import re
from base64 import b64encode
from collections import Counter
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from markupsafe import Markup
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import PythonLexer

from unbend.lab.claim import Claim
from unbend.lab.entries import MARKS, Entry, Word, digits
from unbend.lab.pictures import inline
from unbend.lab.results import Run, source
from unbend.report.html import fill, looks, template, text

MOST_BYTES = 15_000_000
"""Of a page; films beyond are left to their files."""
_KINDS: dict[Word, str] = {
    "holds": "holds",
    "holds with a condition": "condition",
    "false as told": "false",
    "failed": "failed",
    "not run": "none",
}
_PACKAGES = ("unbend", "torch", "numpy", "scipy", "scikit-learn", "numba")


def page(entries: Sequence[Entry], folder: Path, *, command: str = "unbend lab --all") -> str:
    """One HTML page that holds everything it needs.

    Args:
        entries: in the order of the lab.
        folder: where `figures/` and `films/` are.
        command: what made them.

    Cost:
        Some 60 kB a figure, and the films, up to 15 MB in all.
    """
    sections: dict[str, list[Entry]] = {}
    for found in entries:
        sections.setdefault(found.claim.section, []).append(found)
    figures = _figures(entries, folder)
    return fill(
        template("unbend.lab", "page.html", anchor=_anchor, digits=digits),
        "lab",
        looks("code") + text("unbend.lab", "page.css"),
        is_strict=not any("style=" in svg for svg in figures.values()),
        sections=list(sections.items()),
        summary=summary(entries),
        figures={name: Markup(svg) for name, svg in figures.items()},  # noqa: S704  our own SVG
        films=_films(entries, folder),
        codes={found.claim.name: _color_words(code(found.claim, found.runs[0])) for found in entries},
        command=command,
        seconds=sum(found.seconds for found in entries),
        versions={name: version(name) for name in _PACKAGES},
        kinds=_KINDS,
        marks=MARKS,
    )


def summary(entries: Sequence[Entry]) -> str:
    """How many claims there are of every verdict, in one sentence.

    Example:
        >>> summary([])
        'No claim was run.'
    """
    counts = Counter(found.word for found in entries)
    if not counts:
        return "No claim was run."
    words = {
        "holds": "holds as told|hold as told",
        "holds with a condition": "holds with a condition|hold with a condition",
        "false as told": "is false as told|are false as told",
        "failed": "failed its checks|failed their checks",
        "not run": "was not run|were not run",
    }
    said = [f"{counts[word]} {words[word].split('|')[counts[word] != 1]}" for word in MARKS if counts[word]]
    joined = ", ".join(said[:-1]) + " and " + said[-1] if len(said) > 1 else said[0]
    total = len(entries)
    return f"Of {total} claims, {joined}." if total > 1 else f"One claim: {joined}."


def code(claim: Claim, run: Run) -> str:
    """The source of a claim, ending with the call that gives this run's numbers and its figure.

    Args:
        claim: the claim.
        run: whose seed and budget are called.
    """
    call = (
        f'result = run(seed={run.seed}, budget="{run.budget}")\n'
        "print(finding(result))\n"
        'figure = Figure(figsize=(6.4, 3.6), layout="constrained")\n'
        "draw(result, figure)\n"
        f'figure.savefig("{claim.name}.png", dpi=160)\n'
    )
    return f"{source(claim).rstrip()}\n\n\n{call}"


def _figures(entries: Sequence[Entry], folder: Path) -> dict[str, str]:
    found = {}
    for each in entries:
        path = folder / "figures" / f"{each.runs[0].stem}.svg"
        if path.is_file() and each.runs[0].verdict is not None:
            found[each.claim.name] = inline(path, f"{each.claim.told} {each.finding}")
    return found


def _films(entries: Sequence[Entry], folder: Path) -> dict[str, str]:
    """Films as data, MP4 where there is one, as long as the page stays below its size."""
    found, left = {}, MOST_BYTES * 0.6
    for each in entries:
        paths = [folder / "films" / f"{each.runs[0].stem}{ending}" for ending in (".mp4", ".gif")]
        path = next((path for path in paths if path.is_file()), None)
        if path is None or each.claim.film is None or each.runs[0].verdict is None:
            continue
        content = path.read_bytes()
        if 4 * len(content) / 3 <= left:
            left -= 4 * len(content) / 3
            kind = "video/mp4" if path.suffix == ".mp4" else "image/gif"
            found[each.claim.name] = f"data:{kind};base64,{b64encode(content).decode()}"
    return found


def _color_words(text: str) -> Markup:
    return Markup(highlight(text, PythonLexer(), HtmlFormatter(nowrap=True)))  # noqa: S704  pygments escapes


def _anchor(title: str) -> str:
    return "section-" + re.sub(r"\W+", "-", title.lower())
