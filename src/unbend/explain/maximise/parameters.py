"""In what numbers an input is written while it is changed, so that equal steps are equally usual in the data.

In: training rows. Out: a `Parametrisation`: a start, and from its numbers to inputs. Images are written in the log-odds
of a pixel between the least and the greatest value of its channel, so every input made is one that the data could hold.

    frequency   colours and frequencies made as independent and as large as in the data (Olah, Mordvintsev & Schubert
                2017); no image is longer in these numbers than the training images are on average
    maco        the magnitude of every frequency is that of the training images, only phases move (Fel et al. 2023)
    pixels      every pixel by itself
    whitened    columns made independent; no row is longer in these numbers than all but 1 % of the training rows
    columns     every column by itself, between its least and greatest value
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, final, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from unbend.errors import DataError
from unbend.explain.defaults import FOR_COLUMNS, FOR_IMAGES
from unbend.explain.units.examples import as_maps, from_maps, image_side, is_table

_EDGE = 0.02
"""Share of a channel's range at both ends that counts as the end: log-odds are finite there."""
_USUAL = 0.99
_NOTHING = 1e-6


@runtime_checkable
class Parametrisation(Protocol):
    """Numbers that stand for an input."""

    def start(self, generator: torch.Generator) -> Tensor:
        """Numbers of spread 1 to start from, for one input."""

    def inputs(self, z: Tensor) -> Tensor:
        """The inputs of some numbers [n, ...], in the form in which the model takes them."""

    def of(self, x: Tensor) -> Tensor:
        """The numbers of some rows, as near as there are any."""

    def keep(self, z: Tensor) -> Tensor:
        """The nearest numbers that are allowed."""


def is_image(x: Tensor) -> bool:
    """Whether rows are shown and written as images."""
    return image_side(tuple(x.shape[1:])) is not None


def parametrisation(
    name: str | None, x: Float[Tensor, "n ..."], names: Sequence[str] = ()
) -> tuple[str, Parametrisation]:
    """The parametrisation of a name, fitted to training rows.

    Args:
        name: None for "frequency" where rows are images, else "whitened".
        x: the rows, as the model takes them.
        names: of the columns of the data set.

    Raises:
        DataError: no such name, or one that only images have.
    """
    is_picture = is_image(x) and not (x.ndim == 2 and is_table(names))
    chosen = name or (FOR_IMAGES[0] if is_picture else FOR_COLUMNS[0])
    if chosen in FOR_COLUMNS:
        return chosen, (_Whitened if chosen == "whitened" else _Columns)(x)
    if chosen not in FOR_IMAGES:
        known = ", ".join((*FOR_IMAGES, *FOR_COLUMNS))
        raise DataError(f"parametrisation: expected one of {known}, got {chosen!r}.")
    if not is_image(x):
        raise DataError(f"parametrisation: {chosen!r} is for images, and these rows are none. Leave it out.")
    images = Images.of(x)
    return chosen, {"frequency": _Frequency, "maco": _Phases, "pixels": _Pixels}[chosen](images)


@dataclass(frozen=True, slots=True, eq=False)
class Images:
    """The training images in log-odds, and the way back.

    Attributes:
        shape: of one row, as the model takes it.
        low: least value of each channel [c, 1, 1].
        high: greatest value.
        log_odds: of the training rows, less `mean` [n, c, h, w].
        mean: of the channels [c, 1, 1].
        colour: from independent colours to channels [c, c].
    """

    shape: tuple[int, ...]
    low: Tensor
    high: Tensor
    log_odds: Tensor
    mean: Tensor
    colour: Tensor

    @staticmethod
    def of(x: Tensor) -> "Images":
        """Of rows."""
        maps = as_maps(x).double()
        low, high = (f(maps, (0, 2, 3)).reshape(-1, 1, 1) for f in (torch.amin, torch.amax))
        odds = _log_odds(maps, low, high)
        mean = odds.mean((0, 2, 3)).reshape(-1, 1, 1)
        odds = odds - mean
        flat = odds.movedim(1, -1).flatten(0, 2)
        values, vectors = torch.linalg.eigh(flat.T @ flat / len(flat))
        colour = vectors * values.clamp_min(_NOTHING).sqrt()
        return Images(tuple(x.shape[1:]), *(part.float() for part in (low, high, odds, mean, colour)))

    def odds_of(self, x: Tensor) -> Tensor:
        """Rows in log-odds, less the mean [n, c, h, w]."""
        return _log_odds(as_maps(x), self.low, self.high) - self.mean

    def colours(self, odds: Tensor) -> Tensor:
        """Log-odds in independent colours of spread 1 [n, c, h, w]."""
        return torch.einsum("dc,nchw->ndhw", torch.linalg.inv(self.colour), odds)

    def inputs(self, odds: Tensor) -> Tensor:
        """Inputs of log-odds less the mean [n, c, h, w]."""
        x = self.low + (self.high - self.low) * (odds + self.mean).sigmoid()
        return from_maps(x, self.shape)

    def in_colours(self, colours: Tensor) -> Tensor:
        """Inputs of independent colours [n, c, h, w]."""
        return self.inputs(torch.einsum("cd,ndhw->nchw", self.colour, colours))


def _log_odds(maps: Tensor, low: Tensor, high: Tensor) -> Tensor:
    return ((maps - low) / (high - low).clamp_min(_NOTHING)).clamp(_EDGE, 1 - _EDGE).logit()


@final
class _Frequency:
    """Independent colours by frequency, each in units of its root mean square in the data."""

    def __init__(self, images: Images) -> None:
        self._images = images
        self._side = tuple(images.log_odds.shape[2:])
        waves = torch.fft.rfft2(images.colours(images.log_odds), norm="ortho")
        self._size = (waves.abs() ** 2).mean(0).sqrt()
        self._length = float((2 * self._size.numel()) ** 0.5)

    def start(self, generator: torch.Generator) -> Tensor:
        return torch.randn(2, *self._size.shape, generator=generator)

    def inputs(self, z: Tensor) -> Tensor:
        waves = torch.complex(z[:, 0], z[:, 1]) * (self._size / 2**0.5)
        return self._images.in_colours(torch.fft.irfft2(waves, s=self._side, norm="ortho"))

    def of(self, x: Tensor) -> Tensor:
        waves = torch.fft.rfft2(self._images.colours(self._images.odds_of(x)), norm="ortho")
        waves = waves / (self._size / 2**0.5).clamp_min(_NOTHING)
        return torch.stack([waves.real, waves.imag], 1)

    def keep(self, z: Tensor) -> Tensor:
        return _limit(z, self._length)


@final
class _Phases:
    """The mean magnitude of every frequency of the data, with phases that move; the mean of a channel stays."""

    def __init__(self, images: Images) -> None:
        self._images = images
        size = torch.fft.fft2(images.colours(images.log_odds), norm="ortho").abs().mean(0)
        size[:, 0, 0] = 0
        self._size = size

    def start(self, generator: torch.Generator) -> Tensor:
        return torch.pi * torch.randn(self._size.shape, generator=generator)

    def inputs(self, z: Tensor) -> Tensor:
        phase = (z - z.flip(-2, -1).roll((1, 1), (-2, -1))) / 2  # odd, so that the image is real
        waves = torch.polar(self._size.expand_as(phase).contiguous(), phase)
        return self._images.in_colours(torch.fft.ifft2(waves, norm="ortho").real)

    def of(self, x: Tensor) -> Tensor:
        return torch.fft.fft2(self._images.colours(self._images.odds_of(x))).angle()

    def keep(self, z: Tensor) -> Tensor:
        return z


@final
class _Pixels:
    """Every pixel by itself, in units of its channel's spread."""

    def __init__(self, images: Images) -> None:
        self._images = images
        self._size = images.log_odds.std((0, 2, 3), keepdim=True).clamp_min(_NOTHING)

    def start(self, generator: torch.Generator) -> Tensor:
        return torch.randn(self._images.log_odds.shape[1:], generator=generator)

    def inputs(self, z: Tensor) -> Tensor:
        return self._images.inputs(z * self._size)

    def of(self, x: Tensor) -> Tensor:
        return self._images.odds_of(x) / self._size

    def keep(self, z: Tensor) -> Tensor:
        return z


@final
class _Whitened:
    """Columns as sums of independent ones of spread 1, within the length of the training rows."""

    def __init__(self, x: Tensor) -> None:
        rows = x.flatten(1).double()
        self._shape = tuple(x.shape[1:])
        self._mean, self._low, self._high = rows.mean(0).float(), rows.amin(0).float(), rows.amax(0).float()
        white = Whitening(rows)
        self._axes, self._back = white.axes.float(), white.back.float()
        self._length = float(white.length(rows).quantile(_USUAL))

    def start(self, generator: torch.Generator) -> Tensor:
        return torch.randn(len(self._axes), generator=generator)

    def inputs(self, z: Tensor) -> Tensor:
        x = (self._mean + z @ self._axes).clamp(self._low, self._high)
        return x.reshape(len(z), *self._shape)

    def of(self, x: Tensor) -> Tensor:
        return (x.flatten(1) - self._mean) @ self._back

    def keep(self, z: Tensor) -> Tensor:
        return _limit(z, self._length)


@final
class _Columns:
    """Every column by itself, from one end of its range to the other."""

    def __init__(self, x: Tensor) -> None:
        rows = x.flatten(1)
        self._shape = tuple(x.shape[1:])
        self._low, self._high = rows.amin(0), rows.amax(0)

    def start(self, generator: torch.Generator) -> Tensor:
        return torch.randn(len(self._low), generator=generator)

    def inputs(self, z: Tensor) -> Tensor:
        return (self._low + (self._high - self._low) * z.sigmoid()).reshape(len(z), *self._shape)

    def of(self, x: Tensor) -> Tensor:
        return _log_odds(x.flatten(1), self._low, self._high)

    def keep(self, z: Tensor) -> Tensor:
        return z


@final
class Whitening:
    """Rows in columns that are independent and of spread 1.

    Args:
        rows: float64 [n, q].
    """

    def __init__(self, rows: Tensor) -> None:
        self.mean: Tensor = rows.mean(0)
        _, spread, vectors = torch.linalg.svd(rows - self.mean, full_matrices=False)
        spread = spread / max(len(rows) - 1, 1) ** 0.5
        is_there = spread > _NOTHING * spread.max()
        self.axes: Tensor = spread[is_there, None] * vectors[is_there]
        self.back: Tensor = (vectors[is_there] / spread[is_there, None]).T

    def length(self, rows: Tensor) -> Tensor:
        """How far rows are from the mean (Mahalanobis 1936) [n]."""
        return ((rows - self.mean) @ self.back).norm(dim=1)


def _limit(z: Tensor, length: float) -> Tensor:
    """Each of some numbers at most so long."""
    size = z.flatten(1).norm(dim=1).clamp_min(_NOTHING)
    return z * (length / size).clamp_max(1).reshape(-1, *[1] * (z.ndim - 1))
