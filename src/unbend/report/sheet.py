"""A small page of sentences, pictures and tables: what the commands beside `report` write.

In: a title, sentences, `SheetPart`s. Out: one self-contained page. Must not know what it is about.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from unbend.report.html import fill, looks, template


@dataclass(frozen=True, slots=True)
class SheetPicture:
    """A picture and the sentence below it.

    Attributes:
        markup: an SVG, or an image.
        caption: the sentence; names in backticks are code.
    """

    markup: Markup
    caption: str = ""


@dataclass(frozen=True, slots=True)
class SheetPart:
    """One part of the page.

    Attributes:
        heading: above it; none if empty.
        words: sentences; names in backticks are code.
        pictures: beside each other where there is room.
        columns: names of the columns of a table; none for no table.
        rows: its cells.
        markup: our own markup that stands below all that.
    """

    heading: str = ""
    words: Sequence[str] = ()
    pictures: Sequence[SheetPicture] = ()
    columns: Sequence[str] = ()
    rows: Sequence[Sequence[str]] = ()
    markup: str = ""


def sheet(title: str, lead: Sequence[str], parts: Sequence[SheetPart], *, style: str = "") -> str:
    """The page.

    Args:
        title: of the page.
        lead: the sentences it begins with.
        parts: what follows.
        style: more rules of CSS, our own.
    """
    drawn = [picture.markup for part in parts for picture in part.pictures] + [part.markup for part in parts]
    return fill(
        template("unbend.report", "sheet.html"),
        "plain",
        looks("sheet") + style,
        is_strict=not any("style=" in markup for markup in drawn),
        title=title,
        lead=lead,
        parts=parts,
    )


def drawing(svg: str, caption: str = "") -> SheetPicture:
    """An SVG of `unbend.plot.vector`."""
    return SheetPicture(Markup(svg), caption)  # noqa: S704  drawn by us, names in it escaped
