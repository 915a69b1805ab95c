"""Rules about what a linear read-out can tell, layer after layer."""

from collections.abc import Iterator

from unbend.numerics.readout import READERS, Readout
from unbend.numerics.scatter import Scatter
from unbend.study.depth import over_untrained, untrained_reads, untrained_scores
from unbend.study.findings.evidence import SURE, Evidence, both, interval, is_better, is_whole, name_of, readout
from unbend.study.values import Finding, Layer

LEAST = 0.01
"""Fall of a held-out score below which a layer is left in peace, however sure it is."""
HEAVY = 0.05
"""And from which it is a problem."""
FADED = 0.03
"""Fall over several layers, none of which is to blame alone."""


def lost_separability(e: Evidence) -> Iterator[Finding]:
    """A layer after which a linear read-out reads the labels worse, beyond noise."""
    for before, after in e.steps():
        if _fell(before, after) >= LEAST and e.reads_better(before, after):
            yield (_bottleneck if _is_narrow(e, before, after) else _loss)(e, before, after)


def fading(e: Evidence) -> Iterator[Finding]:
    """Separability that is lost over several layers, none of which is to blame alone."""
    trunk = e.paths().trunk()
    read = [*e.start(), *(layer for layer in e.hidden_layers() if layer.name in trunk and is_whole(layer))]
    if len(read) < 3 or any(True for _ in lost_separability(e)):
        return
    best, last = max(read, key=lambda layer: readout(layer).held_out), read[-1]
    if best.kind == "input" and len(read) < 4:
        return
    if _fell(best, last) >= FADED and e.reads_better(best, last):
        yield Finding(
            "fading", "note", last.name,
            f"Separability fades from {name_of(best)} to {name_of(last)}, little by little.",
            f"{_scores(e, best, last)} No single layer in between loses much.",
            "The last layers can only use what reaches them.",
            "Try fewer or wider layers behind that point, or residual connections around them.",
            rests_on=(best.name, last.name),
        )  # fmt: skip


def no_better_than_untrained(e: Evidence) -> Iterator[Finding]:
    """Training added nothing that a linear read-out of random features would not have."""
    known = [layer for layer in e.hidden_layers() if layer.baseline(Readout) is not None]
    if len(known) < 2 or _is_reduced_at_a_loss(e, known) or any(_beats_untrained(layer) for layer in known):
        return
    best = max(known, key=lambda layer: float(untrained_scores(layer).mean()))
    most = max(known, key=_over_untrained)
    n = len(untrained_scores(best))
    one = " from one untrained draw; how much another would differ is not known"
    yield Finding(
        "untrained_does_as_well", "note", None,
        "No hidden layer is shown to read better than the same layer of an untrained draw of the network.",
        f"The best untrained one is {best.name}: held-out {e.score} {untrained_words(best)}. The greatest gain by "
        f"training, at {most.name}, is {_gain_words(most)}{f' over {n} untrained draws' if n > 1 else one}.",
        "Random weights of this shape may do as well: then the curve shows the architecture and the data, not what was "
        "learned.",
        "Check that these are the trained weights, the labels and the learning rate; train longer; or use a simpler "
        "model.",
    )  # fmt: skip


def _is_reduced_at_a_loss(e: Evidence, layers: list[Layer]) -> bool:
    """Whether layers are read by means that leave out what positions tell: then a draw's mean is no baseline either."""
    lost = e.examination is not None and any(r.low > 0 for r in e.examination.reductions)
    return lost and not any(is_whole(layer) for layer in layers)


def untrained_words(layer: Layer) -> str:
    """The held-out score of a layer before training, with the range of its draws where there are several."""
    scores = untrained_scores(layer)
    spread = (
        f" on average over {len(scores)} draws, {scores.min():.3f} to {scores.max():.3f}" if len(scores) > 1 else ""
    )
    return f"{scores.mean():.3f}{spread}"


def _over_untrained(layer: Layer) -> float:
    """How much more a layer reads than its untrained draws do on average."""
    found = untrained_reads(layer)
    return 0.0 if found is None else found[0].held_out - float(untrained_scores(layer).mean())


def _beats_untrained(layer: Layer) -> bool:
    """Whether it reads better than its untrained draws, beyond the noise of rows and draws."""
    found = over_untrained([layer], SURE)
    if found is not None:
        return bool(found.low[0] > 0)
    reads = untrained_reads(layer)
    return reads is not None and all(is_better(reads[0], draw) for draw in reads[1])


def _gain_words(layer: Layer) -> str:
    """How much more a layer reads than its untrained draws, with its interval where that is known."""
    found = over_untrained([layer], SURE)
    if found is None:
        return f"{_over_untrained(layer):+.3f}"
    return f"{found.value[0]:+.3f} ({100 * SURE:.0f} % interval {found.low[0]:+.3f} to {found.high[0]:+.3f})"


def rises(e: Evidence) -> Iterator[Finding]:
    """The good news: where separability arises."""
    if e.is_ill or e.examination is None or not e.examination.is_declared:
        return  # rows the network may have been trained on are no ground for praise
    hidden, first = e.hidden_layers(), e.layers[0] if e.layers else None
    if not hidden or first is None or first.kind != "input" or first not in e.read():
        return
    best = max(hidden, key=lambda layer: readout(layer).held_out)
    if e.reads_better(best, first):
        has_twin = len(untrained_scores(best)) > 0
        beside = f" ({untrained_words(best)} there in the untrained twin)" if has_twin else ""
        low, high = both(first, best)
        yield Finding(
            "separability_rises", "good", best.name,
            f"The layers make the data easier to separate with a plane, most of all {name_of(best)}.",
            f"Held-out {e.score} of a {READERS[high.reader]}: {low.held_out:.3f} on the input, "
            f"{high.held_out:.3f} at {name_of(best)}{beside}.",
            "A gain over the input and over the untrained twin is what hidden layers are for.",
            "Nothing to do.",
            rests_on=(first.name, best.name),
        )  # fmt: skip


def _bottleneck(e: Evidence, before: Layer, after: Layer) -> Finding:
    k = len(readout(after).bias)
    needed = f"{k} classes can need up to {k - 1} directions, and it" if e.about.class_names else "It"
    return Finding(
        "bottleneck", e.symptom(is_strong=_fell(before, after) > HEAVY), after.name,
        f"Layer {after.name} is too narrow: a linear read-out loses {_fell(before, after):.3f} of its {e.score} there.",
        f"{_scores(e, before, after)} {needed} keeps {_rank(after)}.{_trace_words(before, after)}",
        "What does not pass here is gone: no later layer can bring it back.",
        "Make the layer wider, or add a residual connection around it.",
        rests_on=(before.name, after.name),
    )  # fmt: skip


def _loss(e: Evidence, before: Layer, after: Layer) -> Finding:
    return Finding(
        "lost_separability", e.symptom(is_strong=_fell(before, after) > HEAVY), after.name,
        f"Layer {after.name} loses separability: a linear read-out falls by {_fell(before, after):.3f}.",
        f"{_scores(e, before, after)}{_trace_words(before, after)}",
        "What no linear read-out finds here is harder to reach for every later layer.",
        "Check whether this layer is wide enough and its units are alive; a residual connection around it may help.",
        rests_on=(before.name, after.name),
    )  # fmt: skip


def _scores(e: Evidence, before: Layer, after: Layer) -> str:
    a, b = both(before, after)
    where = "on the input" if before.kind == "input" else f"at {name_of(before)}"
    probed = e.probe_scores(before, after)
    also = "" if probed is None else f" Logistic probes: {probed[0]:.3f} and {probed[1]:.3f}."
    return (
        f"Held-out {e.score} of a {READERS[b.reader]}: {a.held_out:.3f} {where}, {b.held_out:.3f} at {name_of(after)} "
        f"({interval(b)}).{also}"
    )


def _fell(before: Layer, after: Layer) -> float:
    a, b = both(before, after)
    return a.held_out - b.held_out


def _is_narrow(e: Evidence, before: Layer, after: Layer) -> bool:
    """Whether the layer has fewer directions than the one before, and than the classes may need."""
    k = len(readout(after).bias)
    needs = k - 1 if e.about.class_names else k
    return _rank(after) < max(needs, 1) and readout(after).weight.shape[1] < readout(before).weight.shape[1]


def _rank(layer: Layer) -> int:
    scatter = layer.result(Scatter)
    return int(scatter.rank) if scatter is not None else int(readout(layer).weight.shape[1])


def _trace_words(before: Layer, after: Layer) -> str:
    """A word where the usual trace ratio tells the opposite."""
    a, b = before.result(Scatter), after.result(Scatter)
    if a is None or b is None or not b.trace_ratio > a.trace_ratio:
        return ""
    return f" (The usual ratio tr B / tr W rises here, {a.trace_ratio:.2f} → {b.trace_ratio:.2f}: it misleads.)"
