"""A few sentences a reader takes away, made by plain rules.

In: a Study. Out: text. First the network's own score, beside chance and simple references, and whether these rows are
known to be unseen; then what is wrong, or that nothing was found; last what the layers do to separability, beside the
untrained twin.
"""

from collections.abc import Mapping

import numpy as np

from unbend._shares import percent, points
from unbend._typing import Array
from unbend.numerics.interval import wilson
from unbend.numerics.readout import READERS
from unbend.study.depth import Depth
from unbend.study.examine.values import Examination
from unbend.study.head import Head
from unbend.study.values import Finding, Study

_UNEVEN = 0.3
"""How far the largest class lies between an even share and all rows, from which an accuracy alone misleads."""
_LUCK = 0.001
"""Points of a score that are owed to choosing the highest, from which they are told."""
_COUNTS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


def verdict(study: Study, labels: Mapping[str, str]) -> tuple[str, str]:
    """What to read first, the network's own score and what is wrong, and then what its layers do.

    Args:
        study: the study.
        labels: what to call each layer.
    """
    depth = study.result(Depth)
    layers = "" if depth is None else _separability(depth, labels, accuracy=study.about.has_accuracy)
    layers += "" if depth is None else _averaged_best(depth, study.result(Examination), labels)
    health = _health(study.findings, study.result(Head), study.result(Examination))
    return " ".join(part for part in (opening(study), health) if part), layers


def opening(study: Study) -> str:
    """The network's own score beside chance and references, and whether the rows are known to be unseen."""
    x = study.result(Examination)
    if x is None or not np.isfinite(x.scores.held_out):
        return ""
    s, has_classes = x.scores, bool(study.about.class_names)
    rows = f"{x.n_held_out:,} held-out rows"
    if has_classes:
        low, high = (percent(float(end)) for end in wilson(round(s.held_out * x.n_held_out), x.n_held_out))
        said = f"The network is right on {percent(s.held_out)} of {rows} (95 % interval {low} to {high})"
        chance = f"always naming their largest class gives {percent(s.majority)}{_balanced_accuracy(x)}"
    else:
        said, chance = (
            f"The network explains {percent(s.held_out)} of the variance of {rows}",
            "their mean explains 0 %",
        )
    seen = f" and on {percent(s.train)} of training rows" if np.isfinite(s.train) else ""
    best = f", the best of three simple references on the raw input {percent(s.reachable)}" if s.is_referred else ""
    warning = "" if x.is_declared else (
        " These rows were held out from the read-outs only: unbend cannot know whether the network was trained on them."
    )  # fmt: skip
    return f"{said}{seen}; {chance}{best}.{warning}"


def _balanced_accuracy(x: Examination) -> str:
    """The accuracy averaged over the classes, where one class is much larger than the others."""
    found = x.rows.confusion
    if found is None or not _is_uneven(x):
        return ""
    counts = found.sum(1)
    recall = np.diag(found)[counts > 0] / counts[counts > 0]
    precision = x.rows.precision
    ranks = f", with an average precision of {percent(precision)}" if np.isfinite(precision) else ""
    return f"; averaged over the classes the network is right on {percent(float(recall.mean()))}{ranks}"


def _separability(depth: Depth, labels: Mapping[str, str], *, accuracy: bool) -> str:
    good = np.flatnonzero(np.isfinite(depth.held_out))
    if not len(good):
        return "There are no held-out rows, so nothing here says how the layers do on data they were not fitted to."
    good, left = _comparable(depth, good)
    first, best = int(good[0]), int(good[np.argmax(depth.held_out[good])])
    start, top, end = (depth.held_out[i] for i in (first, best, good[-1]))
    of, at = "of held-out rows" if accuracy else "of the held-out variance", labels[depth.layers[best]]
    does = "gets" if accuracy else "explains"
    right = " right" if accuracy else ""
    where = "the input" if depth.kinds[first] == "input" else labels[depth.layers[first]]
    by = READERS.get(depth.readers[best] if depth.readers else "", "linear read-out")
    if best == first:
        return (
            f"A {by} of {where} already {does} {percent(start)} {of}{right}, and no layer's is higher: "
            f"the last one reaches {percent(end)}.{left}"
        )
    return (
        f"A {by} {does} {percent(start)} {of}{right} at {where} and {percent(top)} at {at}, the highest of "
        f"{len(good)} layers{_gain(depth, best, start)}{_beside(depth, best)}.{left}"
    )


def _averaged_best(depth: Depth, x: Examination | None, labels: Mapping[str, str]) -> str:
    """The best layer by the accuracy averaged over the classes, where one class is much larger than the others."""
    found = None if x is None else x.rows.confusion
    if x is None or found is None or not _is_uneven(x) or not np.isfinite(depth.balanced).any():
        return ""
    best = int(np.nanargmax(depth.balanced))
    share, chance = percent(float(depth.balanced[best])), percent(1 / int((found.sum(1) > 0).sum()))
    return (
        f" The largest class alone makes these high: averaged over the classes, the read-out of "
        f"{'the input' if depth.kinds[best] == 'input' else labels[depth.layers[best]]} is right on {share}, the most "
        f"of all layers, where chance gives {chance}."
    )


def _is_uneven(x: Examination) -> bool:
    """Whether one class is so large that an accuracy alone misleads."""
    found = x.rows.confusion
    return found is not None and x.scores.majority > _UNEVEN * (1 - 1 / len(found)) + 1 / len(found)


def _comparable(depth: Depth, good: Array) -> tuple[Array, str]:
    """The layers that can be compared with the first one, and what is said of the others."""
    if not depth.is_whole or not depth.is_whole[good[0]] or all(depth.is_whole[i] for i in good):
        return good, ""
    whole = np.array([i for i in good if depth.is_whole[i]])
    n = len(good) - len(whole)
    are = "layers are" if n > 1 else "layer is"
    return whole, (
        f" {n} {are} reduced over positions, so not compared with it: what a mean loses is no loss of the layer."
    )


def _gain(depth: Depth, best: int, start: float) -> str:
    """The difference between the two, on the same rows, with its interval."""
    if not len(depth.gain) or not np.isfinite(depth.gain[best]):
        within = np.isfinite(depth.low[best]) and depth.low[best] <= start
        return ", a difference within the 95 % interval" if within else ""
    low, high = depth.gain_low[best], depth.gain_high[best]
    is_partly = _LUCK <= depth.optimism < depth.gain[best]
    luck = f", {100 * depth.optimism:.1f} of them the luck of choosing the highest" if is_partly else ""
    shown = "" if low > 0 else ", so no difference is shown"
    return f" ({points(depth.gain[best])} points{luck}; 95 % interval {points(low)} to {points(high)}{shown})"


def _beside(depth: Depth, best: int) -> str:
    """How the untrained twin compares with the best layer."""
    twin = depth.twin[best]
    if not np.isfinite(twin):
        return ""
    n = depth.n_draws
    spread = f", {percent(depth.twin_low[best])} to {percent(depth.twin_high[best])}" if n > 1 else ""
    drawn = f"in {_count_words(n, 'untrained draw')} the same layer reaches {percent(twin)}{' on average' * (n > 1)}"
    if len(depth.over_twin_low) and np.isfinite(depth.over_twin_low[best]):
        low, high = depth.over_twin_low[best], depth.over_twin_high[best]
        shown = "" if low > 0 else ": no difference from an untrained draw is shown"
        over = depth.over_twin[best] if len(depth.over_twin) else depth.held_out[best] - twin
        gain = f"{points(over)} points by training, {points(low)} to {points(high)}"
        return f"; {drawn}{spread} ({gain}){shown}"
    if np.isfinite(depth.low[best]) and twin >= depth.low[best]:
        return f"; {drawn}{spread}: no difference by training is shown"
    return f"; {drawn}{spread}"


def _health(findings: tuple[Finding, ...], head: Head | None, x: Examination | None) -> str:
    problems = [f for f in findings if f.severity == "problem"]
    warnings = [f for f in findings if f.severity == "warning"]
    if not problems and not warnings and x is not None and x.scores.is_ill:
        short = percent(x.scores.shortfall).removesuffix(" %")
        return f"The network falls short of the best simple reference by {short} points, and no rule found why."
    if not problems and not warnings:
        if head is None or not np.isfinite(head.own):
            return "No rule found a problem."
        own, refitted = percent(head.own), percent(head.refitted)
        return f"No rule found a problem; the network's own head reaches {own}, a refitted one {refitted}."
    counts = [_count_words(len(found), word) for found, word in ((problems, "problem"), (warnings, "warning")) if found]
    words = " and ".join(counts)
    worst = (problems or warnings)[0].title.rstrip(".")
    return f"{words[0].upper()}{words[1:]}{', first' if len(problems) + len(warnings) > 1 else ''}: {worst}."


def _count_words(n: int, word: str) -> str:
    return f"{_COUNTS[n] if n < len(_COUNTS) else n} {word}{'s' if n != 1 else ''}"
