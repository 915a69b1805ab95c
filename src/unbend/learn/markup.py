"""Markdown with LaTeX as HTML with MathML: what a browser draws without a script, a font or a server.

In: Markdown. Out: markup. Must not know lessons.
"""

import re
from html import escape
from typing import Any

from markupsafe import Markup
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import PythonLexer

from unbend.errors import MissingExtraError

_CODE = re.compile(r"```.*?```|`[^`\n]+`", re.DOTALL)
_MATH = re.compile(r"\$\$(.+?)\$\$|\$([^$\n]+?)\$", re.DOTALL)
_HELD = re.compile("\ue000(\\d+)\ue001")


def html(text: str) -> Markup:
    """A text as HTML; formulas between `$` or `$$` as MathML. HTML within the text is shown, not obeyed.

    Raises:
        MissingExtraError: markdown-it-py or latex2mathml is not installed.
    """
    formulas: list[str] = []

    def hold(found: re.Match[str]) -> str:
        formulas.append(mathml(found[1] or found[2], is_block=found[1] is not None))
        return f"\ue000{len(formulas) - 1}\ue001"

    outside, at = [], 0
    for code in _CODE.finditer(text):
        outside += [_MATH.sub(hold, text[at : code.start()]), code[0]]
        at = code.end()
    marked = "".join([*outside, _MATH.sub(hold, text[at:])])
    rendered = _markdown().render(marked)
    whole = _HELD.sub(lambda held: formulas[int(held[1])], rendered)
    whole = re.sub(r"<p>(<div class=\"formula\".*?</div>)</p>", r"\1", whole, flags=re.DOTALL)
    whole = whole.replace("<table>", '<div class="scroll" tabindex="0" role="group" aria-label="Table"><table>')
    return Markup(whole.replace("</table>", "</table></div>"))  # noqa: S704  markdown-it escapes what is no Markdown


def mathml(latex: str, *, is_block: bool = False) -> str:
    """A formula as MathML, with its LaTeX as the label for those who cannot see it.

    Example:
        >>> mathml("x^2")[:5]
        '<math'
    """
    try:
        from latex2mathml.converter import convert  # noqa: PLC0415  an extra
    except ImportError:
        raise MissingExtraError("learn: needs latex2mathml. Install it: pip install 'unbend[learn]'") from None
    found = convert(" ".join(latex.split()), display="block" if is_block else "inline")
    found = found.replace("<math ", f'<math aria-label="{escape(latex.strip())}" ', 1)
    return f'<div class="formula" tabindex="0">{found}</div>' if is_block else found


def code(block: str) -> Markup:
    """Python with its words coloured."""
    return Markup(highlight(block.rstrip() + "\n", PythonLexer(), HtmlFormatter(nowrap=True)))  # noqa: S704  pygments has escaped it


def _markdown() -> Any:
    try:
        from markdown_it import MarkdownIt  # noqa: PLC0415  an extra
    except ImportError:
        raise MissingExtraError("learn: needs markdown-it-py. Install it: pip install 'unbend[learn]'") from None
    return MarkdownIt("commonmark", {"html": False}).enable("table")
