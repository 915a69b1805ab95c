"""The pictures of a page, numbered as its data are, and the rules of style that they need.

In: sections. Out: the same, numbered; rules. Must not know what a page is about.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from unbend.report.block import Figure
from unbend.report.sections import Picture, Section


@dataclass(frozen=True, slots=True)
class Figures:
    """The pictures of a page in the order of their numbers.

    Attributes:
        found: each with the position of its layer, -1 for one that spans layers.
    """

    found: list[tuple[Picture, int]]

    @property
    def pictures(self) -> list[Picture]:
        """All of them."""
        return [picture for picture, _ in self.found]

    @property
    def listed(self) -> list[Figure]:
        """All of them, as data."""
        return [Figure(picture.view, layer, picture.data) for picture, layer in self.found]

    def section(self, part: Section, layer: int) -> Section:
        """A section with its pictures numbered."""
        return replace(part, pictures=tuple(self.picture(picture, layer) for picture in part.pictures))

    def picture(self, picture: Picture, layer: int) -> Picture:
        """A picture with its number."""
        numbered = replace(picture, number=len(self.found))
        self.found.append((numbered, layer))
        return numbered


def rules(figures: Figures, shares: Iterable[float] = ()) -> str:
    """Rules for the room of each picture and the bars of tables: a strict policy lets no element have a style.

    Args:
        figures: the pictures.
        shares: lengths of the bars.
    """
    rooms = {picture.room: picture.ratio for picture in figures.pictures if picture.view}
    return "".join(
        [f".{name}{{aspect-ratio:{ratio:.4g}}}" for name, ratio in sorted(rooms.items())]
        + [f".{name}{{--share:{int(name[1:]) / 100:g}}}" for name in sorted(set(map(share, shares)))]
    )


def share(length: float) -> str:
    """The class of a bar that is as long.

    Example:
        >>> share(0.125)
        's12'
    """
    return f"s{round(100 * length)}"
