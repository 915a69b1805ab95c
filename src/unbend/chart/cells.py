"""What colours the faces of `Cells` when it is not their class: their activation pattern."""

import numpy as np

from unbend._typing import Array, Float64
from unbend.numerics.cells.complex import Cells

PATTERN_COLORS = ("#16304f", "#0072b2", "#56b4e9", "#bfe3ee", "#f6efcf", "#f0c35a", "#d98a1f")
"""Dark blue over paper to amber: ordered in lightness at both ends, safe for any colour vision."""


def pattern_ramp(n: int) -> list[str]:
    """`n` colours from one end of `PATTERN_COLORS` to the other."""
    stops = np.array([[int(color[i : i + 2], 16) for i in (1, 3, 5)] for color in PATTERN_COLORS])
    at = np.linspace(0, len(stops) - 1, n)
    mixed = np.stack([np.interp(at, np.arange(len(stops)), channel) for channel in stops.T], axis=1)
    return ["#" + "".join(f"{round(part):02x}" for part in color) for color in mixed.tolist()]


def pattern_level(result: Cells) -> Float64[Array, "f"]:
    """A number in [0, 1] per face: its pattern on one fixed random direction, the units of early layers first.

    It depends on the pattern alone, so that a region keeps its colour in every picture.
    """
    sizes = np.diff(result.network.offsets)
    n = result.network.n_hinges
    weight = np.random.default_rng(11).standard_normal(n)
    weight /= np.repeat(np.sqrt(np.maximum(1, sizes)) * (1.0 + np.arange(len(sizes))), sizes)
    spread = 0.5 * np.sqrt((weight**2).sum()) or 1.0
    level = np.empty(result.n_faces)
    step = max(1, (1 << 24) // (n + 1))
    for at in range(0, result.n_faces, step):
        faces = np.arange(at, min(at + step, result.n_faces))
        level[faces] = (result.bits(faces) - 0.5) @ weight
    return 0.5 + 0.5 * np.tanh(0.9 * level / spread)
