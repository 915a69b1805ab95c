"""Two sentences a reader takes away, made by plain rules.

In: a Study. Out: text. The first sentence says what the layers do to separability, beside the untrained twin;
the second what is wrong, or that nothing was found, with the network's own head.
"""

from collections.abc import Mapping

import numpy as np

from unbend.report.text import shown
from unbend.study.depth import Depth, Head
from unbend.study.values import SEVERITIES, Finding, Study


def verdict(study: Study, labels: Mapping[str, str]) -> tuple[str, str]:
    """What the layers do, and what is wrong.

    Args:
        study: the study.
        labels: what to call each layer.
    """
    return _separability(study, labels), _health(study)


def _separability(study: Study, labels: Mapping[str, str]) -> str:
    depth = study.across.get("depth")
    if not isinstance(depth, Depth) or not np.isfinite(depth.held_out).any():
        return "There are no held-out rows, so nothing here says how well the layers do on data they were not fitted to."
    read = "tells the classes apart" if study.about.class_names else "explains the targets (R²)"
    good = np.flatnonzero(np.isfinite(depth.held_out))
    first, best = int(good[0]), int(good[np.argmax(depth.held_out[good])])
    start, top = depth.held_out[first], depth.held_out[best]
    at = labels.get(depth.layers[best], depth.layers[best])
    if best == first:
        end = int(good[-1])
        return (f"A linear read-out of the input already {read} for {shown(start)} of held-out rows, and no layer "
                f"does better; the last one reads {shown(depth.held_out[end])}.")  # fmt: skip
    baseline = _baseline(depth, best)
    low, high = depth.low[best], depth.high[best]
    if np.isfinite(low) and low <= start <= high:
        return (f"A linear read-out {read} about equally well in every layer: {shown(start)} on held-out rows at the "
                f"input, {shown(top)} at best ({at}), within its 95 % interval{baseline}.")  # fmt: skip
    return f"A linear read-out of held-out rows {read} for {shown(start)} at the input and {shown(top)} at {at}{baseline}."


def _baseline(depth: Depth, best: int) -> str:
    """How the untrained twin compares with the best layer."""
    twin = depth.twin[best]
    if not np.isfinite(twin):
        return ""
    if np.isfinite(depth.low[best]) and twin >= depth.low[best]:
        return f"; the same layer before training reads {shown(twin)}, so the gain is not training's"
    return f"; the same layer before training reads {shown(twin)}"


def _health(study: Study) -> str:
    counts = {severity: [f for f in study.findings if f.severity == severity] for severity in SEVERITIES}
    wrong = counts["problem"] or counts["warning"]
    head = _head(study.across.get("head"))
    if not wrong:
        return f"No rule found a problem{head}."
    words = [_counted(len(counts[s]), s) for s in ("problem", "warning") if counts[s]]
    return f"{' and '.join(words)[0].upper()}{' and '.join(words)[1:]}: {_lowered(wrong[0])}"


def _head(head: object) -> str:
    if not isinstance(head, Head) or not np.isfinite(head.own):
        return ""
    return f"; its own head reads {shown(head.own)}, a refitted one {shown(head.refitted)}"


def _counted(n: int, word: str) -> str:
    numbers = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
    return f"{numbers[n] if n < len(numbers) else n} {word}{'s' if n != 1 else ''}"


def _lowered(finding: Finding) -> str:
    title = finding.title.rstrip(".")
    return f"{title}."
