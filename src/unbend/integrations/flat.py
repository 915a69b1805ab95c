"""A snapshot as one table of numbers, as experiment trackers take them."""

import math

from unbend.study.history.values import Snapshot


def flat(snapshot: Snapshot, *, most: int = 250) -> dict[str, float]:
    """Numbers by name, `unbend/loss` for the network, `unbend/fc1/silent` for layers; only finite ones.

    Args:
        snapshot: of a watched run.
        most: characters of a name; of a longer one the end is kept, which tells layers apart.

    Example:
        >>> flat(Snapshot(3, 0.5, {"loss": 1.0}, {"fc1": {"silent": 0.25}}))
        {'unbend/loss': 1.0, 'unbend/fc1/silent': 0.25}
    """
    found = {f"unbend/{what}": value for what, value in snapshot.values.items()}
    for layer, numbers in snapshot.layers.items():
        found |= {f"unbend/{layer or 'model'}/{what}"[-most:]: value for what, value in numbers.items()}
    return {name: value for name, value in found.items() if math.isfinite(value)}
