"""Hidden widths after the four patterns of the field.

In: a pattern, the widest layer, the depth. Out: widths. This module must not know what they are
for.
"""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Literal, TypeAlias

from unbend.errors import DataError

Pattern: TypeAlias = Literal["constant", "funnel", "bottleneck", "expanding"]

# Halving stops here, as is usual for networks on tables and small images.
FLOOR = 32


def hidden_widths(pattern: Pattern, widest: int, n_layers: int, *, floor: int = FLOOR) -> list[int]:
    """The widths of the hidden layers, of which the widest has `widest` units.

    "constant" keeps the width; "funnel" halves it from layer to layer; "expanding" doubles it, a funnel the
    other way round; "bottleneck" halves it towards the middle and doubles it again.

    Args:
        pattern: one of the four.
        widest: units of the widest layer.
        n_layers: how many hidden layers.
        floor: no layer becomes narrower by halving than this.

    Raises:
        DataError: an unknown pattern, or no layer.

    Example:
        >>> hidden_widths("bottleneck", 256, 5)
        [256, 128, 64, 128, 256]
        >>> hidden_widths("funnel", 256, 5)
        [256, 128, 64, 32, 32]
    """
    if pattern not in _HALVINGS or n_layers < 1 or widest < 1:
        message = (
            f"pattern: expected one of {', '.join(_HALVINGS)} with at least one layer of at least one unit, "
            f"got {pattern!r} with {n_layers} layers of up to {widest}."
        )
        raise DataError(message)
    halvings = (_HALVINGS[pattern](layer, n_layers - 1) for layer in range(n_layers))
    return [max(min(floor, widest), widest >> times) for times in halvings]


def widths_of_size(
    pattern: Pattern, n_parameters: int, n_layers: int, *, ends: tuple[int, int], floor: int = FLOOR
) -> list[int]:
    """Widths of a whole network, input and output included, with about `n_parameters` weights and biases.

    The widest layer is the one that comes closest, so that patterns can be compared at equal size.

    Args:
        pattern: one of the four.
        n_parameters: how many weights and biases the network should have.
        n_layers: how many hidden layers.
        ends: width of the input and of the output.
        floor: no layer becomes narrower by halving than this.

    Example:
        >>> widths_of_size("funnel", 20_000, 3, ends=(64, 10))
        [64, 133, 66, 33, 10]
    """

    def whole(widest: int) -> list[int]:
        return [ends[0], *hidden_widths(pattern, widest, n_layers, floor=floor), ends[1]]

    low, high = 1, 2
    while parameter_count(whole(high)) < n_parameters:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if parameter_count(whole(middle)) < n_parameters else (low, middle)
    return min((whole(low), whole(high)), key=lambda widths: abs(parameter_count(widths) - n_parameters))


def parameter_count(widths: Sequence[int]) -> int:
    """How many weights and biases an MLP of these widths has."""
    return sum(fan_out * (fan_in + 1) for fan_in, fan_out in pairwise(widths))


_HALVINGS: dict[str, Callable[[int, int], int]] = {
    "constant": lambda _layer, _last: 0,
    "funnel": lambda layer, _last: layer,
    "bottleneck": lambda layer, last: min(layer, last - layer),
    "expanding": lambda layer, last: last - layer,
}
