"""The words of the glossary, and links to them from where a lesson uses one first.

In: Markdown. Out: Markdown. Must not know how it is rendered.
"""

import re

from unbend.learn.source import page_text

_ROW = re.compile(r"^\| ([^|]+?) \| ", re.MULTILINE)
_KEPT = re.compile(
    r"```.*?```|`[^`\n]+`|\$\$.+?\$\$|\$[^$\n]+\$|\[[^\]\n]+\]\([^)\n]+\)|^#[^\n]*", re.DOTALL | re.MULTILINE
)
"""What stays as it is: code, formulas, links, headings."""


def terms() -> dict[str, str]:
    """Each word of the glossary with the anchor of its row; words that share a row share its anchor.

    Example:
        >>> terms()["read-out"]
        'probe'
    """
    rows = [row for row in _ROW.findall(page_text("glossary")) if row not in {"word", "---"}]
    return {word: anchor(row) for row in rows for word in row.split(", ")}


def anchor(row: str) -> str:
    """The anchor of a row of the glossary, from the words in its first cell."""
    return row.partition(",")[0].lower().replace(" ", "-")


def link_terms(text: str, left: dict[str, str]) -> str:
    """The text with the first use of each word as a link to the glossary.

    Args:
        text: Markdown.
        left: words without a link so far, from `terms`; those that get one here are taken out.
    """
    out, at = [], 0
    for kept in _KEPT.finditer(text):
        out += [_link(text[at : kept.start()], left), kept[0]]
        at = kept.end()
    return "".join([*out, _link(text[at:], left)])


def _link(text: str, left: dict[str, str]) -> str:
    if not left:
        return text
    words = "|".join(re.escape(word) for word in sorted(left, key=len, reverse=True))

    def link(found: re.Match[str]) -> str:
        place = _place(found[1], left)
        if place is None:
            return found[0]
        for word in [word for word, other in left.items() if other == place]:
            del left[word]
        return f"[{found[0]}](glossary.html#{place})"

    return re.sub(rf"(?<![\w-])({words})(?:e?s)?(?![\w-])", link, text, flags=re.IGNORECASE)


def _place(word: str, left: dict[str, str]) -> str | None:
    """The anchor of a word in any case; None once another use of its row has been linked."""
    return next((place for known, place in left.items() if known.lower() == word.lower()), None)
