"""What every page is made with: a template, texts that stand beside it, a script and the hash that lets it run.

In: names of files in a package. Out: templates, text, markup. Must not know what a page is about.
"""

import os
import re
from base64 import b64encode
from collections.abc import Callable
from functools import cache
from hashlib import sha256
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, Template
from markupsafe import Markup, escape

from unbend.files import whole

_QUOTED = re.compile(r"`([^`]+)`")


@cache
def template(package: str, name: str, **filters: Callable[[Any], str]) -> Template:
    """A template of a package, which escapes what it is given and knows the filter `quoted`.

    Args:
        package: where it stands, as a dotted name.
        name: its file.
        filters: more filters, by name.
    """
    env = Environment(
        loader=PackageLoader(package, "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    env.filters.update({"quoted": quoted, **filters})
    return env.get_template(name)


@cache
def text(package: str, name: str) -> str:
    """A text file of a package."""
    return files(package).joinpath(name).read_text(encoding="utf-8")


def inline_parts(style: str, script: str) -> dict[str, str]:
    """`style` and `script` as our own markup, and the hashes by which the policy of a page lets them in."""
    hashes = {f"{name}_hash": b64encode(sha256(said.encode()).digest()).decode()
              for name, said in (("style", style), ("script", script))}  # fmt: skip
    return {"style": Markup(style), "script": Markup(script), **hashes}  # noqa: S704


def quoted(words: str) -> Markup:
    """Words with `names in backticks` as code, everything in it escaped.

    Example:
        >>> str(quoted("`x < 1` & more"))
        '<code>x &lt; 1</code> &amp; more'
    """
    return Markup(_QUOTED.sub(r"<code>\1</code>", str(escape(words))))  # noqa: S704


def write(page: str, path: str | os.PathLike[str]) -> None:
    """A page in a file, whole or not at all.

    Raises:
        RecordError: the folder is missing, may not be written to, or is full; the place is no file.
    """
    with whole(path, "the page") as temporary:
        temporary.write_text(page, encoding="utf-8")
