"""Rules about scale: activations and gradients that grow or die on their way."""

from collections.abc import Iterator

import numpy as np

from unbend.numerics.gradient import Gradients
from unbend.numerics.moments import Moments
from unbend.study.findings.evidence import Evidence
from unbend.study.values import Finding

MASSIVE = 100.0
"""Factor between the scales of a layer and the median layer from which activations are said to explode or vanish."""
LOST_ORDERS = 4.0
"""Orders of magnitude a gradient may lose before the first layers hardly learn."""


def scale(e: Evidence) -> Iterator[Finding]:
    """Activations that grow or shrink by orders of magnitude through the layers."""
    levels = [
        (layer, m.rms)
        for layer, m in e.layers_with(Moments)
        if layer.kind != "input" and not layer.is_output and np.isfinite(m.rms) and m.rms > 0
    ]
    if len(levels) < 2:
        return
    middle = float(np.median([rms for _, rms in levels]))
    for layer, rms in (max(levels, key=lambda t: t[1]), min(levels, key=lambda t: t[1])):
        if MASSIVE > rms / middle > 1 / MASSIVE:
            continue
        word, side = ("explode", "above") if rms > middle else ("vanish", "below")
        yield Finding(
            "scale", "note", layer.name,
            f"Activations {word} at layer {layer.name}: "
            f"{max(rms / middle, middle / rms):,.0f} times {side} the median.",
            f"Root mean square {rms:.2g}; median over {len(levels)} layers {middle:.2g}.",
            "Gradients change by such factors on their way back, so layers learn at very different speeds.",
            "Initialise so that the variance is kept (He for ReLU, Xavier for tanh), or add normalisation or residual "
            "connections.",
        )  # fmt: skip


def gradient_reach(e: Evidence) -> Iterator[Finding]:
    """Loss gradients that vanish or explode on the way to the first layer."""
    g = e.result(Gradients)
    if g is None or len(g.layers) < 2 or np.isnan(g.orders_lost) or abs(g.orders_lost) < LOST_ORDERS:
        return
    is_lost = g.orders_lost > 0
    change = f"by a factor of 10^{abs(g.orders_lost):.0f}" if np.isfinite(g.orders_lost) else "to nothing"
    yield Finding(
        "gradient_reach", e.symptom(is_strong=True), g.layers[0],
        f"Gradients {'vanish' if is_lost else 'explode'}: from the last layer to the first they "
        f"{'shrink' if is_lost else 'grow'} {change}.",
        f"Root mean square of dL/dh: {g.norm[-1]:.2e} at layer {g.layers[-1]}, {g.norm[0]:.2e} at layer {g.layers[0]} "
        f"({g.n:,} samples).",
        "The first layers hardly learn." if is_lost else "Steps that suit the last layers throw the first ones off.",
        "Use He or orthogonal initialisation, normalisation, residual connections, "
        "or an activation other than a sigmoid.",
    )  # fmt: skip
