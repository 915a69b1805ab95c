"""What only shows across layers: separability over depth, and the head against a refitted one."""

from dataclasses import dataclass

import numpy as np

from unbend._typing import Array, Float64


@dataclass(frozen=True, slots=True, eq=False)
class Depth:
    """Separability through the layers, one entry per layer, the input first.

    Attributes:
        layers: names.
        kinds: what they are.
        train: training accuracy (R²) of the linear read-out [l].
        held_out: held-out accuracy (R²) [l].
        low: lower end of its 95 % interval [l].
        high: upper end [l].
        twin: held-out accuracy of the read-out of the same layer in the untrained twin [l]; NaN without one.
        control: training accuracy with permuted labels [l].
        fisher: debiased Fisher value [l].
        separation: equi-separation value tr(S_W S_B⁺) [l].
        trace_ratio: the plain ratio [l].
        effective_rank: of the rows [l].
        line_slope: change of ln(separation) per activation layer, fitted over `line_layers`; NaN with fewer than 3.
        line_correlation: correlation of ln(separation) with depth over those layers; -1 is the law of He & Su.
        line_layers: the activations the line is fitted over.
    """

    layers: tuple[str, ...]
    kinds: tuple[str, ...]
    train: Float64[Array, "l"]
    held_out: Float64[Array, "l"]
    low: Float64[Array, "l"]
    high: Float64[Array, "l"]
    twin: Float64[Array, "l"]
    control: Float64[Array, "l"]
    fisher: Float64[Array, "l"]
    separation: Float64[Array, "l"]
    trace_ratio: Float64[Array, "l"]
    effective_rank: Float64[Array, "l"]
    line_slope: float
    line_correlation: float
    line_layers: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Head:
    """The network's own output against a linear read-out refitted on the layer that feeds it.

    Attributes:
        n: held-out rows both were scored on.
        layer: the layer that feeds the head.
        own: held-out accuracy (R²) of the network.
        own_train: its training accuracy (R²).
        refitted: held-out accuracy (R²) of the refitted read-out.
        gain: refitted - own.
        low: lower end of the 95 % interval of the gain, paired by row.
        high: upper end.
    """

    n: int
    layer: str
    own: float
    own_train: float
    refitted: float
    gain: float
    low: float
    high: float


def line(depth: Float64[Array, "m"], separation: Float64[Array, "m"]) -> tuple[float, float]:
    """Slope and correlation of ln(separation) over depth; NaN with fewer than three points."""
    good = np.isfinite(separation) & (separation > 0)
    if good.sum() < 3 or np.ptp(np.log(separation[good])) == 0:
        return float("nan"), float("nan")
    x, y = depth[good], np.log(separation[good])
    slope = float(np.polyfit(x, y, 1)[0])
    return slope, float(np.corrcoef(x, y)[0, 1])
