"""Data sets that are computed: shapes in the plane, curves, formulas.

In: sizes, noise, a seed. Out: `DataSet`. This module must not know networks.
"""

import math
from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from unbend.errors import DataError
from unbend.zoo.sets import DataSet, split

_SOURCE = "computed"
_TWO = ("0", "1")


def xor() -> DataSet:
    """The four corners of the unit square, of class 1 where exactly one coordinate is 1."""
    x = torch.tensor([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
    y = torch.tensor([0, 1, 1, 0])
    return DataSet(x, y, x[:0], y[:0], _TWO, "xor", _SOURCE)


def strip(n: int = 400, *, held_out: float = 0.25, seed: int = 0) -> DataSet:
    """A diagonal strip, and both of its sides: what `strip_net` tells apart without an error.

    A point is (c - t/2, c + t/2) with c from U(-2, 2); class 1 has t from U(-.42, .42), class 0 has .65 < |t|
    < 1.3.

    Args:
        n: samples in both parts together, half in each class.
        held_out: share of every class that is held out.
        seed: of the draw and the split.
    """
    generator = torch.Generator().manual_seed(seed)
    y = torch.arange(n) % 2
    centre = _uniform(n, -2.0, 2.0, generator)
    sign = torch.where(torch.rand(n, generator=generator) < 0.5, -1.0, 1.0)
    inside, outside = _uniform(n, -0.42, 0.42, generator), _uniform(n, 0.65, 1.3, generator)
    across = torch.where(y == 1, inside, sign * outside)
    x = torch.stack([centre - across / 2, centre + across / 2], 1)
    return DataSet(*split(x, y, held_out=held_out, seed=seed), _TWO, "strip", _SOURCE)


def moons(n: int = 500, *, noise: float = 0.1, held_out: float = 0.25, seed: int = 0) -> DataSet:
    """Two half circles that reach into each other.

    Args:
        n: samples in both parts together.
        noise: standard deviation added to both coordinates; the half circles have radius 1.
        held_out: share of every class that is held out.
        seed: of the draw and the split.
    """
    generator = torch.Generator().manual_seed(seed)
    y = torch.arange(n) % 2
    angle = math.pi * torch.rand(n, generator=generator)
    upper = torch.stack([angle.cos(), angle.sin()], 1)
    lower = torch.stack([1 - angle.cos(), 0.5 - angle.sin()], 1)
    x = torch.where(y[:, None] == 0, upper, lower) + noise * torch.randn(n, 2, generator=generator)
    return DataSet(*split(x, y, held_out=held_out, seed=seed), _TWO, "moons", _SOURCE)


def circles(n: int = 500, *, noise: float = 0.05, held_out: float = 0.25, seed: int = 0) -> DataSet:
    """A circle of radius 1 around one of radius ½; no line comes close to telling them apart.

    Args:
        n: samples in both parts together.
        noise: standard deviation added to both coordinates.
        held_out: share of every class that is held out.
        seed: of the draw and the split.
    """
    generator = torch.Generator().manual_seed(seed)
    y = torch.arange(n) % 2
    x = _on_circle(n, generator) * torch.where(y == 1, 0.5, 1.0)[:, None]
    x = x + noise * torch.randn(n, 2, generator=generator)
    return DataSet(*split(x, y, held_out=held_out, seed=seed), _TWO, "circles", _SOURCE)


def spirals(
    n: int = 500,
    *,
    n_arms: int = 2,
    turns: float = 1.0,
    noise: float = 0.02,
    held_out: float = 0.25,
    seed: int = 0,
) -> DataSet:
    """Spiral arms wound into each other, one class each.

    Args:
        n: samples in both parts together.
        n_arms: how many arms.
        turns: how often an arm winds around the centre.
        noise: standard deviation added to both coordinates; the arms end at radius 1.
        held_out: share of every class that is held out.
        seed: of the draw and the split.
    """
    generator = torch.Generator().manual_seed(seed)
    y = torch.arange(n) % n_arms
    radius = 0.1 + 0.9 * torch.rand(n, generator=generator)
    angle = 2 * math.pi * (turns * radius + y / n_arms)
    x = radius[:, None] * torch.stack([angle.cos(), angle.sin()], 1)
    x = x + noise * torch.randn(n, 2, generator=generator)
    names = tuple(str(arm) for arm in range(n_arms))
    return DataSet(*split(x, y, held_out=held_out, seed=seed), names, "spirals", _SOURCE)


def nine_discs(n: int = 1800, *, held_out: float = 0.25, seed: int = 0) -> DataSet:
    """Nine discs of class 1 in a square of class 0.

    Class 1 has nine pieces and no hole, class 0 one piece with nine holes. The square is [-1, 1]². The discs
    have radius .18 and centres at distance .6; a ring of .06 around each stays empty, so that the classes
    have a gap.

    Args:
        n: samples in both parts together, half in each class.
        held_out: share of every class that is held out.
        seed: of the draw and the split.

    Source:
        after the data set D-I of Naitzat, Zhitnikov & Lim (2020).
    """
    generator = torch.Generator().manual_seed(seed)
    places = torch.tensor([-0.6, 0.0, 0.6])
    centres = torch.cartesian_prod(places, places)
    n_inside = n // 2
    radius = 0.18 * torch.rand(n_inside, generator=generator).sqrt()
    inside = centres[torch.arange(n_inside) % 9] + radius[:, None] * _on_circle(n_inside, generator)
    # The nine guarded discs cover 41 % of the square, so eight draws a point leave no chance of too few.
    field = _uniform(8 * (n - n_inside) + 64, -1.0, 1.0, generator, 2)
    outside = field[torch.cdist(field, centres).amin(1) > 0.24][: n - n_inside]
    x = torch.cat([outside, inside])
    y = torch.cat([torch.zeros(len(outside), dtype=torch.int64), torch.ones(n_inside, dtype=torch.int64)])
    return DataSet(*split(x, y, held_out=held_out, seed=seed), ("field", "discs"), "nine discs", _SOURCE)


def sine(n: int = 100, *, noise: float = 0.0, seed: int = 0) -> DataSet:
    """The sine over two periods, x evenly from -2π to 2π; held out are the points halfway between.

    The best line through the 100 points has a mean squared error of .42219: what a net without activation
    reaches.

    Args:
        n: training samples.
        noise: standard deviation added to the training targets.
        seed: of the noise.
    """
    generator = torch.Generator().manual_seed(seed)
    x = torch.linspace(-2 * math.pi, 2 * math.pi, n, dtype=torch.float64)[:, None]
    between = (x[1:] + x[:-1]) / 2
    y = x.sin() + noise * torch.randn(n, 1, generator=generator, dtype=torch.float64)
    return DataSet(x.float(), y.float(), between.float(), between.sin().float(), (), "sine", _SOURCE)


def formula(
    function: Callable[[Float[Tensor, "n d"]], Float[Tensor, "n"]],
    n: int = 1000,
    *,
    d: int = 2,
    n_held_out: int = 1000,
    seed: int = 0,
) -> DataSet:
    """A function of your own, on points drawn evenly from the cube [-1, 1]^d.

    Args:
        function: from rows of `d` numbers to one number each.
        n: training samples.
        d: how many numbers the function takes.
        n_held_out: held-out samples.
        seed: of the draw.

    Raises:
        DataError: a function that gives something else than one finite number per row.

    Example:
        >>> bump = formula(lambda x: torch.exp(torch.sin(torch.pi * x[:, 0]) + x[:, 1] ** 2))
        >>> bump.y_train.shape
        torch.Size([1000, 1])
    """
    generator = torch.Generator().manual_seed(seed)
    x = _uniform(n + n_held_out, -1.0, 1.0, generator, d)
    y = function(x)
    if y.numel() != len(x) or not bool(y.isfinite().all()):
        message = f"function: expected one finite number per row ({len(x)}), got shape {tuple(y.shape)}."
        raise DataError(message)
    y = y.reshape(-1, 1).float()
    return DataSet(x[:n], y[:n], x[n:], y[n:], (), getattr(function, "__name__", "formula"), _SOURCE)


def _uniform(n: int, low: float, high: float, generator: torch.Generator, *shape: int) -> Tensor:
    return low + (high - low) * torch.rand(n, *shape, generator=generator)


def _on_circle(n: int, generator: torch.Generator) -> Tensor:
    angle = 2 * math.pi * torch.rand(n, generator=generator)
    return torch.stack([angle.cos(), angle.sin()], 1)
