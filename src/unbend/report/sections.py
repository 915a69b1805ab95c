"""What a page shows of a Result: numbers, pictures and tables.

In: a Result. Out: a `Section`, plain values that the template lays out. A Result without a function of its
own gets a table of its fields, so a new measure is on the page at once. `report/<concept>.py` registers the
special ones.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import singledispatch
from numbers import Real
from typing import Any

import numpy as np
from markupsafe import Markup

from unbend._one_line import in_one_line
from unbend._typing import Array
from unbend.report.text import Number, entries, in_digits

SMALL = 64
"""Arrays with at most this many values are written out."""


@dataclass(frozen=True, slots=True)
class Table:
    """Numbers behind a picture: heads of columns, then rows of what is written in the cells.

    Attributes:
        head: of the columns.
        rows: what is written in the cells.
        note: one sentence below.
    """

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""

    __repr__ = in_one_line

    @property
    def lines(self) -> str:
        r"""The table as text, a line a row, columns below each other and a tab between them: one element of a page.

        Example:
            >>> Table(("unit", "mean"), (("7", "0.25"),)).lines
            'unit\tmean\n7   \t0.25'
        """
        cells = [tuple(" ".join(cell.split()) for cell in row) for row in (self.head, *self.rows)]
        widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
        padded = ("\t".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in cells)
        return "\n".join(line.rstrip() for line in padded)


@dataclass(frozen=True, slots=True)
class Picture:
    """One picture: data, and the view that draws them in the browser.

    Attributes:
        title: a few words.
        caption: how to read it, in a sentence.
        view: what draws it, a name in `web/src/views/index.ts`; empty for a drawing that is there already.
        data: what it draws: numbers, texts, arrays, and lists of them.
        label: what it shows, for people who cannot see it.
        ratio: how many times as wide as high it is.
        svg: a drawing in place of a view, an `<svg role="img">` with its own label.
        table: its numbers.
        legend: words for its marks: (class of the mark, text).
        size: `small`, `medium`, `wide`, `full` or `curve`.
        number: its place among the data of a page, which sets it; -1 before.
    """

    title: str
    caption: str
    view: str = ""
    data: Mapping[str, Any] = field(default_factory=dict)
    label: str = ""
    ratio: float = 1.5
    svg: str = ""
    table: Table | None = None
    legend: tuple[tuple[str, str], ...] = ()
    size: str = "small"
    number: int = -1

    __repr__ = in_one_line

    @property
    def room(self) -> str:
        """The class that keeps its room before it is drawn."""
        return f"r{round(100 * self.ratio)}"

    @property
    def drawing(self) -> Markup:
        """The drawing as markup: it was made by our own code, with every name in it escaped."""
        return Markup(self.svg)  # noqa: S704  a drawing of ours


@dataclass(frozen=True, slots=True)
class Section:
    """What is shown of one Result.

    Attributes:
        numbers: headlines.
        pictures: in order.
        tables: with what they are called.
    """

    numbers: tuple[Number, ...] = ()
    pictures: tuple[Picture, ...] = ()
    tables: tuple[tuple[str, Table], ...] = ()

    __repr__ = in_one_line


@dataclass(frozen=True, slots=True)
class Place:
    """Where a Result stands, for captions and names.

    Attributes:
        name: what the Result is called in the study.
        layer: the layer it belongs to; empty for one that spans layers.
        kind: kind of that layer.
        class_names: names of the classes; empty for a regression.
        labels: what to call each layer, by name, in the order of the page.
        label_names: names of the yes/no labels of a row, where there are several.
    """

    name: str = ""
    layer: str = ""
    kind: str = ""
    class_names: tuple[str, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    label_names: tuple[str, ...] = ()

    def label(self, layer: str) -> str:
        """What to call a layer."""
        return self.labels.get(layer, layer)

    def positions(self, layers: Iterable[str]) -> list[int]:
        """Where layers stand on the page, by their names; -1 for one that is not there."""
        order = {name: position for position, name in enumerate(self.labels)}
        return [order.get(name, -1) for name in layers]


NOWHERE = Place()


@singledispatch
def section(result: Any, place: Place = NOWHERE) -> Section:
    """What a page shows of a Result; for one it does not know, all its fields that hold something with what they mean.

    Args:
        result: the Result.
        place: where it stands.
    """
    numbers, rows, tables = [], [], []
    for name, value, meaning in entries(result):
        label = name.removeprefix("is_").replace("_", " ")
        if value is None or (isinstance(value, float) and np.isnan(value)):
            continue
        if isinstance(value, Real | np.bool_):
            numbers.append(Number(label, float(value), in_digits(value), meaning))
        else:
            rows.append((label, summed_up(value), meaning))
            small = _values(value)
            if small is not None:
                tables.append((f"{place.name or 'values'}.{name}", small))
    if rows:
        tables.insert(0, (f"{place.name or 'fields'}", Table(("field", "value", "what it is"), tuple(rows))))
    return Section(tuple(numbers), (), tuple(tables))


def summed_up(value: Any) -> str:
    """An array by its shape and range, a collection by its parts, anything else as it is.

    Example:
        >>> summed_up(np.array([1.0, 2.0, 6.0]))
        '3 values: least 1, mean 3, greatest 6'
    """
    if isinstance(value, np.ndarray):
        return _array_words(value)
    if isinstance(value, Mapping):
        return "; ".join(f"{key}: {summed_up(part)}" for key, part in value.items()) or "none"
    if isinstance(value, tuple | list):
        shown = ", ".join(summed_up(part) for part in value[:8])
        return shown + (f", … ({len(value)} in all)" if len(value) > 8 else "") or "none"
    if hasattr(type(value), "__dataclass_fields__"):
        return "; ".join(f"{name}: {summed_up(part)}" for name, part, _ in entries(value))
    return in_digits(value)


def _array_words(value: Array) -> str:
    shape = "×".join(map(str, value.shape)) or "1"
    if value.dtype == np.bool_:
        return f"{shape} values: {int(value.sum()):,} true"
    if value.dtype.kind not in "iuf" or not value.size:
        return f"{shape} values"
    good = value[np.isfinite(value)]
    missing = f", {value.size - good.size:,} not finite" if good.size < value.size else ""
    if not good.size:
        return f"{shape} values{missing}"
    return (
        f"{shape} values: least {in_digits(good.min())}, mean {in_digits(good.mean())}, "
        f"greatest {in_digits(good.max())}{missing}"
    )


def _values(value: Any) -> Table | None:
    """A small array written out; None for everything else."""
    if not isinstance(value, np.ndarray) or not 0 < value.size <= SMALL or value.ndim not in {1, 2}:
        return None
    if value.ndim == 1:
        return Table(("", "value"), tuple((str(i), in_digits(v)) for i, v in enumerate(value.tolist())))
    head = ("", *(str(j) for j in range(value.shape[1])))
    return Table(head, tuple((str(i), *map(in_digits, row)) for i, row in enumerate(value.tolist())))
