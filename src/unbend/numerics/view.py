"""The rule by which a layer's output is read: where its units are, and how its positions become one row.

In: nothing. Out: `View`, plain words and numbers that are saved with a study. `views` reads tensors by it.
"""

import math
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

Layout: TypeAlias = Literal["features", "maps", "tokens"]
Rule: TypeAlias = Literal["none", "mean", "flatten", "cls", "last", "max"]
RULES: tuple[str, ...] = get_args(Rule)
WIDEST = 4096
"""Rows wider than this are sketched (`View.sketch`): second moments cost width² memory and width³ time."""


@dataclass(frozen=True, slots=True)
class View:
    """The rule by which a layer's output is read.

    Attributes:
        layout: `features` [n, d], `maps` [n, d, *positions] or `tokens` [n, *positions, d].
        rule: how positions are reduced: `mean`, `max`, `flatten` (keep all; tokens that do not count are 0),
            `cls` (first token that counts), `last` (last token that counts); `none` where there is nothing
            to reduce. A sample without a token that counts gives NaN.
        width: units (channels) of the layer.
        sketch: 0, or the number of signed sums the row is sketched to because it is wider than `WIDEST`.
        is_near: for labels per position, that the layer has other positions, so that its row is that of the one which
            covers the label's, or of the whole item.
    """

    layout: Layout = "features"
    rule: Rule = "none"
    width: int = 0
    sketch: int = 0
    is_near: bool = False

    @property
    def is_picked(self) -> bool:
        """Whether a row is that of single positions, so that it is not what the mean over positions says of it."""
        return self.rule in {"cls", "last", "max"} and not self.sketch

    def columns(self, shape: tuple[int, ...]) -> int:
        """Columns of the rows of an output with this shape for one sample, before sketching."""
        return math.prod(shape) if self.rule == "flatten" else self.width

    def __str__(self) -> str:
        words = {"none": "as it is", "mean": "mean over positions", "max": "max over positions",
                 "flatten": "flattened", "cls": "first token", "last": "last token"}  # fmt: skip
        sketch = f", sketched to {self.sketch} signed sums" if self.sketch else ""
        rule = "at the position that covers the label's" if self.is_near else words[self.rule]
        return rule + sketch
