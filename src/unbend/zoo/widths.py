"""Hidden widths after the four patterns of the field, as its articles print them, and two symmetric ones.

In: a pattern, a base width, the depth. Out: widths. Must not know what they are for.
"""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Literal, TypeAlias

from unbend.errors import DataError

Pattern: TypeAlias = Literal["constant", "funnel", "bottleneck", "expanding", "symmetric bottleneck", "reversed funnel"]

FLOOR = 32
"""Halving stops here, as is usual for networks on tables and small images."""


def hidden_widths(pattern: Pattern, base_width: int, n_layers: int, *, floor: int = FLOOR) -> list[int]:
    """The widths of the hidden layers.

    "constant" keeps the base width; "funnel" halves it from layer to layer; "bottleneck" halves it up to the middle of
    the network and doubles it from there, but not beyond the base width; "expanding" starts from a quarter and doubles
    up to twice the base width. These are the widths that articles print for four layers and 256: 256, 128, 64, 128 and
    64, 128, 256, 512. Two variants are symmetric: "symmetric bottleneck" ends as wide as it began, and "reversed
    funnel" is the funnel the other way round.

    Args:
        pattern: one of the six.
        base_width: units of the first layer; of a quarter of them starts the expanding one, the reversed funnel ends.
        n_layers: how many hidden layers.
        floor: no layer becomes narrower by halving than this.

    Raises:
        DataError: an unknown pattern, or no layer.

    Example:
        >>> hidden_widths("bottleneck", 256, 4)
        [256, 128, 64, 128]
        >>> hidden_widths("expanding", 256, 4)
        [64, 128, 256, 512]
        >>> hidden_widths("funnel", 256, 5)
        [256, 128, 64, 32, 32]
    """
    if pattern not in _HALVINGS or n_layers < 1 or base_width < 1:
        message = (
            f"pattern: expected one of {', '.join(_HALVINGS)} with at least one layer of at least one unit, "
            f"got {pattern!r} with {n_layers} layers and base width {base_width}."
        )
        raise DataError(message)
    halvings = (_HALVINGS[pattern](layer, n_layers) for layer in range(n_layers))
    scaled = (base_width >> times if times >= 0 else base_width << -times for times in halvings)
    return [max(min(floor, base_width), width) for width in scaled]


def widths_of_size(
    pattern: Pattern, n_parameters: int, n_layers: int, *, ends: tuple[int, int], floor: int = FLOOR
) -> list[int]:
    """Widths of a whole network, input and output included, with about `n_parameters` weights and biases.

    The base width is the one that comes closest, so that patterns can be compared at equal size.

    Args:
        pattern: one of the six.
        n_parameters: how many weights and biases the network should have.
        n_layers: how many hidden layers.
        ends: width of the input and of the output.
        floor: no layer becomes narrower by halving than this.

    Example:
        >>> widths_of_size("funnel", 20_000, 3, ends=(64, 10))
        [64, 133, 66, 33, 10]
    """

    def whole(base_width: int) -> list[int]:
        return [ends[0], *hidden_widths(pattern, base_width, n_layers, floor=floor), ends[1]]

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
    "constant": lambda _layer, _n: 0,
    "funnel": lambda layer, _n: layer,
    "bottleneck": lambda layer, n: layer if layer <= n // 2 else n - layer,
    "expanding": lambda layer, _n: max(2 - layer, -1),
    "symmetric bottleneck": lambda layer, n: min(layer, n - 1 - layer),
    "reversed funnel": lambda layer, n: n - 1 - layer,
}
"""How often the base width is halved in each layer; a negative number doubles it."""
