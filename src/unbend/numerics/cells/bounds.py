"""How many linear regions a network can have: formulas of the field, in exact integers.

In: the number of inputs and the widths of the hidden layers. Out: integers. For ReLU layers on the whole
input space; a measured count on a window may be compared with the upper bounds only. Must not know networks.
"""

from functools import cache
from math import comb, prod

from unbend.errors import ShapeError
from unbend.numerics.result import result


def zaslavsky(n: int, d: int) -> int:
    """Regions that `n` hyperplanes in general position cut `d` dimensions into.

    Source:
        Zaslavsky 1975, Σ_{j ≤ d} C(n, j).

    Example:
        >>> zaslavsky(40, 2)
        821
    """
    return sum(comb(n, j) for j in range(d + 1))


def zaslavsky_bounded(n: int, d: int) -> int:
    """How many of those regions are bounded: C(n - 1, d)."""
    return comb(n - 1, d) if n else 0


def pascanu_lower(d: int, widths: tuple[int, ...]) -> int:
    """Some network of these widths has at least this many regions (Pascanu, Montúfar & Bengio 2014)."""
    _require(d, widths)
    return prod(n // d for n in widths[:-1]) * zaslavsky(widths[-1], d)


def montufar_lower(d: int, widths: tuple[int, ...]) -> int:
    """Some network of these widths has at least this many regions (Montúfar et al. 2014, theorem 5)."""
    _require(d, widths)
    return prod((n // d) ** d for n in widths[:-1]) * zaslavsky(widths[-1], d)


def serra_lower(d: int, widths: tuple[int, ...]) -> int | None:
    """Some network has at least this many regions, if every width is at least `3 d` (Serra et al. 2018)."""
    _require(d, widths)
    if any(n < 3 * d for n in widths):
        return None
    return prod((n // d + 1) ** d for n in widths[:-1]) * zaslavsky(widths[-1], d)


def montufar_upper(d: int, widths: tuple[int, ...]) -> int:
    """No network of these widths has more regions (Montúfar 2017)."""
    _require(d, widths)
    total, narrow = 1, d
    for n in widths:
        narrow = min(narrow, n)
        total *= zaslavsky(n, narrow)
    return total


def serra_upper(d: int, widths: tuple[int, ...]) -> int:
    """No network of these widths has more regions (Serra, Tjandraatmadja & Ramalingam 2018, theorem 1).

    Example:
        >>> serra_upper(2, (3, 3))
        40
    """
    _require(d, widths)

    @cache
    def below(layer: int, rank: int) -> int:
        if layer == len(widths):
            return 1
        n = widths[layer]
        return sum(comb(n, j) * below(layer + 1, min(rank, n - j)) for j in range(min(rank, n) + 1))

    return below(0, d)


@result
class RegionBounds:
    """All bounds for one shape, as integers of any size.

    Attributes:
        n_inputs: dimensions of the input space.
        widths: units of every hidden layer.
        pascanu_lower: some network has so many regions (Pascanu et al. 2014).
        montufar_lower: some network has so many (Montúfar et al. 2014).
        serra_lower: some network has so many (Serra et al. 2018); None where a width is below three times the inputs.
        serra_upper: no network has more (Serra et al. 2018).
        montufar_upper: no network has more (Montúfar 2017).
    """

    n_inputs: int
    widths: tuple[int, ...]
    pascanu_lower: int
    montufar_lower: int
    serra_lower: int | None
    serra_upper: int
    montufar_upper: int


def region_bounds(d: int, widths: tuple[int, ...]) -> RegionBounds:
    """The bounds, side by side."""
    return RegionBounds(
        n_inputs=d,
        widths=widths,
        pascanu_lower=pascanu_lower(d, widths),
        montufar_lower=montufar_lower(d, widths),
        serra_lower=serra_lower(d, widths),
        serra_upper=serra_upper(d, widths),
        montufar_upper=montufar_upper(d, widths),
    )


def _require(d: int, widths: tuple[int, ...]) -> None:
    if d < 1 or not widths or min(widths) < 1:
        raise ShapeError(f"widths: expected positive numbers, got {d} inputs and widths {widths}.")
