"""Separability over depth: one curve of every number that tells how far apart the classes are.

In: layers with their Results. Out: `Depth`.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from unbend._typing import Array, Float64
from unbend.numerics.readout import Readout, alike
from unbend.numerics.result import result
from unbend.numerics.scatter import Scatter
from unbend.numerics.simultaneous import Band, accuracies, differences, means, optimism, over_draws
from unbend.numerics.spectrum import Spectrum
from unbend.study.paths import paths
from unbend.study.values import Layer, R

WHOLE = frozenset({"none", "flatten"})
"""Rules of a view that leave nothing out."""
_NAN = float("nan")
_LEAST = 3
"""Held-out rows from which scores get intervals that hold at once."""


def _nothing() -> Float64[Array, "_"]:
    return np.zeros(0)


@result
class Depth:
    """Separability through the layers, one entry per layer, the input first.

    Attributes:
        layers: names.
        kinds: what they are.
        train: training accuracy (R²) of the linear read-out [l].
        held_out: held-out accuracy (R²) [l].
        low: lower end of its 95 % interval, which holds for all layers at once [l].
        high: upper end [l].
        balanced: held-out accuracy averaged over the classes [l]; NaN for a regression.
        twin: held-out accuracy (R²) of the read-out of the same layer in the untrained twin, on average over its draws
            [l]; NaN without one.
        twin_low: the least of these draws [l].
        twin_high: the greatest [l].
        n_draws: untrained draws.
        control: training accuracy with permuted labels [l].
        fisher: debiased Fisher value [l].
        separation: equi-separation value tr(S_W S_B⁺) [l].
        trace_ratio: the plain ratio [l].
        effective_rank: of the rows [l].
        line_slope: change of ln(separation) per activation layer, fitted over `line_layers`; NaN with fewer than 3.
        line_correlation: correlation of ln(separation) with depth over those layers; -1 is the law of He & Su.
        line_layers: the activations the line is fitted over: those that every path from the input to the output passes.
        feeders: positions of the layers that feed each one through no other [l]; () where that is not known.
        is_whole: whether each layer is read with nothing left out: not reduced over positions, not sketched [l].
        gain: `held_out` minus that of the first layer that is read, on the same rows [l]; empty where not known.
        gain_low: lower end of its 95 % interval, which holds for all layers at once [l].
        gain_high: upper end [l].
        over_twin: `held_out` minus `twin`, both by the same reader, on the same rows [l].
        over_twin_low: lower end of its 95 % interval, for rows and draws, which holds for all layers at once [l].
        over_twin_high: upper end [l].
        optimism: how much the highest of these scores owes, on average, to being chosen among so many.
        readers: what each layer is read by: `logistic`, `discriminant`, `ridge`, or "" for none [l].
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
    feeders: tuple[tuple[int, ...], ...] = ()
    is_whole: tuple[bool, ...] = ()
    gain: Float64[Array, "g"] = field(default_factory=_nothing)
    gain_low: Float64[Array, "g"] = field(default_factory=_nothing)
    gain_high: Float64[Array, "g"] = field(default_factory=_nothing)
    over_twin_low: Float64[Array, "g"] = field(default_factory=_nothing)
    over_twin_high: Float64[Array, "g"] = field(default_factory=_nothing)
    optimism: float = _NAN
    over_twin: Float64[Array, "t"] = field(default_factory=_nothing)
    twin_low: Float64[Array, "t"] = field(default_factory=_nothing)
    twin_high: Float64[Array, "t"] = field(default_factory=_nothing)
    n_draws: int = 1
    readers: tuple[str, ...] = ()
    balanced: Float64[Array, "b"] = field(default_factory=_nothing)

    @property
    def is_one_path(self) -> bool:
        """Whether the layers are one path, each read with nothing left out: there no affine layer raises `fisher`."""
        steps = tuple((i,) for i in range(len(self.layers) - 1))
        return bool(self.is_whole) and all(self.is_whole) and self.feeders[1:] == steps


def depth(layers: Sequence[Layer]) -> Depth:
    """The curves of all layers; NaN where a layer has no such number."""
    reads = [layer.result(Readout) for layer in layers]
    scatters = [layer.result(Scatter) for layer in layers]
    fresh = [untrained_scores(layer) for layer in layers]
    spectra = [layer.result(Spectrum) for layer in layers]
    separation = _column(scatters, lambda s: s.separation)
    graph = paths(layers)
    trunk, place = graph.trunk(), {layer.name: i for i, layer in enumerate(layers)}
    bends = [i for i, layer in enumerate(layers) if layer.kind in {"activation", "function"} and layer.name in trunk]
    bands = _bands(layers, reads)
    slope, correlation = line(np.arange(len(bends), dtype=float), separation[bends])
    return Depth(
        layers=tuple(layer.name for layer in layers),
        kinds=tuple(layer.kind for layer in layers),
        train=_column(reads, lambda r: r.train),
        held_out=_column(reads, lambda r: r.held_out),
        low=bands.low,
        high=bands.high,
        twin=np.array([scores.mean() if len(scores) else _NAN for scores in fresh]),
        twin_low=np.array([scores.min(initial=np.inf) if len(scores) else _NAN for scores in fresh]),
        twin_high=np.array([scores.max(initial=-np.inf) if len(scores) else _NAN for scores in fresh]),
        n_draws=max((len(scores) for scores in fresh), default=1),
        control=_column(reads, lambda r: r.control_train),
        fisher=_column(scatters, lambda s: s.fisher),
        separation=separation,
        trace_ratio=_column(scatters, lambda s: s.trace_ratio),
        effective_rank=_column(spectra, lambda s: s.effective_rank),
        line_slope=slope,
        line_correlation=correlation,
        line_layers=tuple(layers[i].name for i in bends),
        feeders=tuple(
            tuple(sorted(place[fed] for fed in graph.feeders.get(layer.name, (graph.own[layer.name],)) if fed in place))
            for layer in layers
        ),
        gain=bands.gain,
        gain_low=bands.gain_low,
        gain_high=bands.gain_high,
        over_twin=bands.over_twin,
        over_twin_low=bands.over_twin_low,
        over_twin_high=bands.over_twin_high,
        optimism=bands.optimism,
        balanced=_column(reads, lambda r: r.balanced),
        readers=tuple("" if read is None else read.reader for read in reads),
        is_whole=tuple(layer.view.rule in WHOLE and not layer.view.sketch for layer in layers),
    )


def _column(results: Iterable[R | None], pick: Callable[[R], float]) -> Float64[Array, "l"]:
    return np.array([_NAN if one is None else pick(one) for one in results], dtype=np.float64)


@dataclass(slots=True, eq=False)
class _Bands:
    """Intervals of the layers' scores that hold at once, one entry per layer."""

    low: Array
    high: Array
    gain: Array
    gain_low: Array
    gain_high: Array
    over_twin: Array
    over_twin_low: Array
    over_twin_high: Array
    optimism: float = _NAN


def _bands(layers: Sequence[Layer], reads: Sequence[Readout | None]) -> _Bands:
    """Intervals of the scores, of their gain over the first layer and over the twin: for all layers at once.

    Layers scored on other rows than the first one, such as where some are not finite, keep their own interval.
    """
    gain, gain_low, gain_high, over_twin, over_twin_low, over_twin_high = np.full((6, len(reads)), _NAN)
    found = _Bands(
        _column(reads, lambda r: r.held_out_interval[0]), _column(reads, lambda r: r.held_out_interval[1]),
        gain, gain_low, gain_high, over_twin, over_twin_low, over_twin_high,
    )  # fmt: skip
    shares = [shares_of(read) for read in reads]
    n = next((len(share) for share in shares if share is not None), 0)
    at = [i for i, share in enumerate(shares) if share is not None and len(share) == n]
    if n < _LEAST or not at:
        return found
    values = np.array([shares[i] for i in at])
    is_right = reads[at[0]].correct is not None  # type: ignore[union-attr]
    band = accuracies(values) if is_right else means(values)
    found.low[at], found.high[at], found.optimism = band.low, band.high, optimism(values)
    gain = _gains([alike(reads[i], reads[at[0]]) for i in at], is_right=is_right)  # type: ignore[arg-type]
    found.gain[at], found.gain_low[at], found.gain_high[at] = gain.value, gain.low, gain.high
    known = [i for i in at if layers[i].baseline(Readout) is not None]
    over = over_untrained([layers[i] for i in known])
    if over is not None:
        found.over_twin[known], found.over_twin_low[known], found.over_twin_high[known] = (
            over.value,
            over.low,
            over.high,
        )
    return found


def _gains(pairs: Sequence[tuple[Readout, Readout]], *, is_right: bool) -> Band:
    """The first of two read-outs of each pair minus the second, on the same rows."""
    values, other = (np.array([shares_of(pair[side]) for pair in pairs]) for side in (0, 1))
    return differences(values, other) if is_right else means(values - other)


def untrained_reads(layer: Layer) -> tuple[Readout, tuple[Readout, ...]] | None:
    """The read-out of a layer and those of its untrained draws, all by the same reader; None without a draw."""
    own, twin = layer.result(Readout), layer.baseline(Readout)
    if own is None or twin is None:
        return None
    draws = (twin, *layer.draws)
    if own.reader == "logistic" and all(draw.reader == "logistic" for draw in draws):
        return own, draws
    return own.closed or own, tuple(draw.closed or draw for draw in draws)


def untrained_scores(layer: Layer) -> Float64[Array, "m"]:
    """Held-out scores of a layer in the untrained draws; none without one."""
    found = untrained_reads(layer)
    return np.array([] if found is None else [draw.held_out for draw in found[1]], dtype=np.float64)


def over_untrained(layers: Sequence[Layer], level: float = 0.95) -> Band | None:
    """The gain of layers over their untrained draws, with intervals that hold for all of them at once.

    Args:
        layers: layers with a twin.
        level: that all intervals hold at once.

    Returns:
        None where there are none, or read-outs of a layer were not scored on the same rows.
    """
    pairs = [untrained_reads(layer) for layer in layers]
    known = [pair for pair in pairs if pair is not None]
    m = min((len(draws) for _, draws in known), default=0)
    own = [shares_of(read) for read, _ in known]
    drawn = [[shares_of(draw) for draw in draws[:m]] for _, draws in known]
    sizes = {-1 if share is None else len(share) for each in (own, *drawn) for share in each}
    if not known or len(known) < len(layers) or len(sizes) > 1 or not min(sizes) >= _LEAST:
        return None
    return over_draws(np.array(own), np.array(drawn).swapaxes(0, 1), level)


def shares_of(read: Readout | None) -> Float64[Array, "n"] | None:
    """Each held-out row's share of a score: their mean is the score; None where it is not known by rows."""
    if read is None:
        return None
    if read.correct is not None:
        return read.correct.astype(np.float64)
    if read.unexplained is None:
        return None
    return 1 - read.unexplained * (1 if read.labels else len(read.unexplained))


def line(depth: Float64[Array, "m"], separation: Float64[Array, "m"]) -> tuple[float, float]:
    """Slope and correlation of ln(separation) over depth; NaN with fewer than three points."""
    good = np.isfinite(separation) & (separation > 0)
    if good.sum() < 3 or np.ptp(np.log(separation[good])) == 0:
        return float("nan"), float("nan")
    x, y = depth[good], np.log(separation[good])
    slope = float(np.polyfit(x, y, 1)[0])
    return slope, float(np.corrcoef(x, y)[0, 1])
