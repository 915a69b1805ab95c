"""Two sentences a reader takes away, made by plain rules.

In: a Study. Out: text. The first sentence says what the layers do to separability, beside the untrained twin;
the second what is wrong, or that nothing was found, with the network's own head.
"""

from collections.abc import Mapping

import numpy as np

from unbend.report.text import percent
from unbend.study.depth import Depth
from unbend.study.head import Head
from unbend.study.values import Finding, Study

_COUNTS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


def verdict(study: Study, labels: Mapping[str, str]) -> tuple[str, str]:
    """What the layers do, and what is wrong.

    Args:
        study: the study.
        labels: what to call each layer.
    """
    depth = study.result(Depth)
    first = "" if depth is None else _separability(depth, labels, accuracy=study.about.has_accuracy)
    return first, _health(study.findings, study.result(Head))


def _separability(depth: Depth, labels: Mapping[str, str], *, accuracy: bool) -> str:
    good = np.flatnonzero(np.isfinite(depth.held_out))
    if not len(good):
        return "There are no held-out rows, so nothing here says how the layers do on data they were not fitted to."
    first, best = int(good[0]), int(good[np.argmax(depth.held_out[good])])
    start, top, end = (depth.held_out[i] for i in (first, best, good[-1]))
    of, at = "of held-out rows" if accuracy else "of the held-out variance", labels[depth.layers[best]]
    does = "gets" if accuracy else "explains"
    right = " right" if accuracy else ""
    if best == first:
        return (
            f"A linear read-out of the input already {does} {percent(start)} {of}{right}, "
            f"and no layer does better: the last one reaches {percent(end)}."
        )
    within = np.isfinite(depth.low[best]) and depth.low[best] <= start
    return (
        f"A linear read-out {does} {percent(start)} {of}{right} at the input and {percent(top)} at {at}, its best layer"
        f"{', a difference within the 95 % interval' if within else ''}{_beside(depth, best)}."
    )


def _beside(depth: Depth, best: int) -> str:
    """How the untrained twin compares with the best layer."""
    twin = depth.twin[best]
    if not np.isfinite(twin):
        return ""
    if np.isfinite(depth.low[best]) and twin >= depth.low[best]:
        return (
            f"; untrained, that layer reaches {percent(twin)} too, so training is not what separates the classes there"
        )
    return f"; untrained, the same layer reaches {percent(twin)}"


def _health(findings: tuple[Finding, ...], head: Head | None) -> str:
    problems = [f for f in findings if f.severity == "problem"]
    warnings = [f for f in findings if f.severity == "warning"]
    if not problems and not warnings:
        if head is None or not np.isfinite(head.own):
            return "No rule found a problem."
        own, refitted = percent(head.own), percent(head.refitted)
        return f"No rule found a problem; the network's own head reaches {own}, a refitted one {refitted}."
    counts = [_counted(len(found), word) for found, word in ((problems, "problem"), (warnings, "warning")) if found]
    words = " and ".join(counts)
    worst = (problems or warnings)[0].title.rstrip(".")
    return f"{words[0].upper()}{words[1:]}{', first' if len(problems) + len(warnings) > 1 else ''}: {worst}."


def _counted(n: int, word: str) -> str:
    return f"{_COUNTS[n] if n < len(_COUNTS) else n} {word}{'s' if n != 1 else ''}"
