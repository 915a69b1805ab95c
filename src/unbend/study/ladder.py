"""The ladder: linear separability layer by layer, and each verdict in words.

In: what was decided of each layer. Out: `Ladder`, words. It must not know models, nor how a verdict was found.
"""

import math
from collections.abc import Mapping
from typing import Any

from unbend._shares import percent
from unbend._typing import Array, Int64
from unbend.numerics.result import result
from unbend.numerics.separable import JointOverlap, JointSeparation, LadderStep, Overlap, Separation


@result
class Ladder:
    """Linear separability layer by layer, over all training rows.

    Attributes:
        layers: names, the input first.
        steps: verdict, proof and honest frame of each.
        ids: row numbers of the rows the proofs are about, rising; rows inside a proof count along these [n].
        shown: positions among `ids` of the rows that witness a verdict [w].
        inputs: those rows of the input, to look at [w, *shape]; None where the input is not numeric.
        labels: their classes [w].
    """

    layers: tuple[str, ...]
    steps: tuple[LadderStep, ...]
    ids: Int64[Array, "n"]
    shown: Int64[Array, "w"]
    inputs: Array | None
    labels: Int64[Array, "w"]

    def verify(self, tables: Mapping[str, tuple[Any, Any]]) -> dict[str, bool]:
        """Whether every verdict holds for these rows.

        Args:
            tables: layer → (rows [n, d], labels [n]), row numbers rising as in `ids`.
        """
        return {
            name: step.verify(*tables[name])
            for name, step in zip(self.layers, self.steps, strict=True)
            if name in tables
        }


def word(step: LadderStep) -> str:
    """The verdict in a word or two."""
    if isinstance(step.verdict, (Overlap, JointOverlap)):
        return "overlap"
    if not isinstance(step.verdict, (Separation, JointSeparation)):
        return "undecided"
    return "separable in the last bits only" if step.frame.last_bits_only else "separable"


def remark(step: LadderStep) -> str:
    """What stands beside the verdict: errors between two bounds, or margin, control and held-out accuracy."""
    f = step.frame
    parts = []
    if f.margin is not None:
        parts.append(f"margin {f.margin:.1e} of the spread" if math.isfinite(f.margin) else "one class only")
    elif f.errors_at_least:
        parts.append(f"between {f.errors_at_least:,} and {f.errors_at_most:,} rows in the way")
    else:
        parts.append(f"at most {f.errors_at_most:,} rows in the way")
    if f.control.n:
        parts.append(f"shuffled labels separable {f.control.n_separable} of {f.control.n}")
    if f.held_out_accuracy is not None:
        parts.append(f"held out {percent(f.held_out_accuracy)}")
    return " · ".join(parts)
