"""What every page is made with: the frame, styles and a script that stand beside it, and the hashes that let them in.

In: names of files in a package. Out: templates, text, markup. Must not know what a page is about.
"""

import json
import os
import re
from base64 import b64encode
from collections.abc import Callable
from functools import cache
from hashlib import sha256
from importlib.resources import files
from typing import Any

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined, Template
from markupsafe import Markup, escape

from unbend.files import whole

_HERE = "unbend.report"
_QUOTED = re.compile(r"`([^`]+)`")
_PERCENT = re.compile(r"<(script|style|pre|code)\b.*?</\1>|(?<=\d) %", re.DOTALL)


@cache
def template(package: str, name: str, **filters: Callable[[Any], str]) -> Template:
    """A template of a package, which escapes what it is given and may extend `frame.html`; it knows the filters below.

    Args:
        package: where it stands, as a dotted name.
        name: its file.
        filters: more filters, by name.
    """
    env = Environment(
        loader=ChoiceLoader([PackageLoader(package, "."), PackageLoader(_HERE, ".")]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    env.filters.update({"quoted": with_code, "breakable": breakable, **filters})
    return env.get_template(name)


@cache
def text(package: str, name: str) -> str:
    """A text file of a package."""
    return files(package).joinpath(name).read_text(encoding="utf-8")


def looks(*names: str) -> str:
    """Style sheets of `report/style/`, by their names."""
    return "".join(text(_HERE, f"style/{name}.css") for name in names)


def fill(blank: Template, script: str, style: str, *, is_strict: bool = True, **words: object) -> str:
    """A page: a template of the frame with its script, the core of all styles, and its own.

    A line does not end between a number and its percent sign.

    Args:
        blank: from `template`.
        script: name of a script of `web/src/pages/`.
        style: more rules, as of `looks`.
        is_strict: whether no element has a `style` of its own, as drawings of matplotlib do.
        words: what the template asks for.
    """
    own = {"style": looks("core") + style, "script": text(_HERE, f"web/{script}.js")}
    hashes = {f"{name}_hash": b64encode(sha256(said.encode()).digest()).decode() for name, said in own.items()}
    markup = {name: Markup(said) for name, said in own.items()}  # our own
    page = blank.render(is_strict=is_strict, **markup, **hashes, **words)
    return _PERCENT.sub(lambda found: found[0] if found[1] else "\N{NO-BREAK SPACE}%", page)


def as_json(data: object) -> Markup:
    """Plain data as JSON that may stand in a script element."""
    said = json.dumps(data, separators=(",", ":"), allow_nan=False, ensure_ascii=False)
    return Markup(said.replace("<", "\\u003c"))  # JSON of numbers and escaped names


def with_code(words: str) -> Markup:
    """Words with `names in backticks` as code, everything in it escaped.

    Example:
        >>> str(with_code("`x < 1` & more"))
        '<code>x &lt; 1</code> &amp; more'
    """
    return Markup(_QUOTED.sub(r"<code>\1</code>", str(escape(words))))  # escaped just now


def breakable(path: str) -> Markup:
    """A dotted path that may go on in a new line behind its dots, and nowhere else.

    Example:
        >>> str(breakable("a.<b>"))
        'a.<wbr>&lt;b&gt;'
    """
    return Markup(escape(path).replace(".", Markup(".<wbr>")))  # escaped just now


def write(page: str, path: str | os.PathLike[str]) -> None:
    """A page in a file, whole or not at all.

    Raises:
        RecordError: the folder is missing, may not be written to, or is full; the place is no file.
    """
    with whole(path, "the page") as temporary:
        temporary.write_text(page, encoding="utf-8")
