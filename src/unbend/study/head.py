"""The network's own head against a read-out refitted on what feeds it: does the network use what it has?

In: layers with their Results, and the row samples. Out: `Head`.
"""

from collections.abc import Sequence

import numpy as np

from unbend.numerics.interval import paired_difference
from unbend.numerics.readout import Readout
from unbend.numerics.result import result
from unbend.numerics.sample import SampleState
from unbend.study.network_score import r2_of_output, right_rows, right_shares
from unbend.study.values import Layer, Sums

_NORMAL = 1.959963984540054
"""Half of a 95 % interval, in standard errors."""


@result
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


def head(layers: Sequence[Layer], sums: Sums) -> Head | None:
    """The network's own output against the read-out of the layer that feeds its head; None where one is not known."""
    output = next((layer for layer in layers if layer.is_output), None)
    fed = next((layer for layer in reversed(layers) if layer.is_head and layer.fed_by), None)
    feeding = next((layer for layer in layers if fed is not None and layer.name == fed.fed_by), None)
    if output is None or feeding is None:
        return None
    readout = feeding.result(Readout)
    held_out = sums.state(output.name, SampleState, "held_out")
    train = sums.state(output.name, SampleState)
    if readout is None or held_out is None or train is None or not len(held_out.ids):
        return None
    if readout.labels:
        return _of_labels(output, feeding.name, readout, (held_out, train))
    if readout.correct is None:
        return _of_targets(feeding.name, readout, held_out, train)
    right = right_rows(output, held_out, train)
    if right is None or len(right[0]) != len(readout.correct):
        return None
    own, own_train = right
    gap = paired_difference(readout.correct, own)
    return Head(
        n=len(own), layer=feeding.name, own=float(own.mean()), own_train=float(own_train.mean()),
        refitted=readout.held_out, gain=gap.difference, low=gap.low, high=gap.high,
    )  # fmt: skip


def _of_labels(output: Layer, layer: str, readout: Readout, samples: tuple[SampleState, SampleState]) -> Head | None:
    """The same for several yes/no labels: the share of them that is read rightly, paired by row."""
    found = right_shares(output, *samples)
    if found is None or readout.unexplained is None or len(found[0]) != len(readout.unexplained):
        return None
    own, own_train = found
    gains = 1 - readout.unexplained - own
    error = float(gains.std(ddof=1)) / len(gains) ** 0.5 if len(gains) > 1 else np.nan
    gain, half = float(gains.mean()), _NORMAL * error
    return Head(
        n=len(own), layer=layer, own=float(own.mean()), own_train=float(own_train.mean()), refitted=readout.held_out,
        gain=gain, low=gain - half, high=gain + half,
    )  # fmt: skip


def _of_targets(layer: str, readout: Readout, held_out: SampleState, train: SampleState) -> Head | None:
    """The same for a regression: R², without an interval."""
    own, own_train = r2_of_output(held_out), r2_of_output(train)
    if own is None:
        return None
    return Head(
        n=readout.n_held_out, layer=layer, own=own, own_train=np.nan if own_train is None else own_train,
        refitted=readout.held_out, gain=readout.held_out - own, low=np.nan, high=np.nan,
    )  # fmt: skip
