"""Whether an input that was made shows what a unit answers to, or is adversarial noise.

In: inputs that were made and training rows, what a unit answers to both. Out: `Doubt`. Two signs, each beside the same
of real rows. The answer does not survive changes that real rows survive: a shift by a pixel, ten per cent of size, a
blur; for columns noise of a tenth of their spread. Or it is far above any real answer, and the input is unlike the data
where networks are led astray: at high frequencies, or along columns that hardly vary.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from unbend._typing import Array, Bool, Float64
from unbend.explain.maximise.parameters import Whitening
from unbend.explain.units.examples import as_maps, from_maps

LEAST = 0.5
"""An answer that keeps less than this share of what real rows keep under small changes is called noise,"""
FAR = 2.0
"""and one that is this many times as far above the mean as the greatest real one, if the input is unlike the data."""
_HIGH = 0.25
"""Cycles per pixel from which a frequency is high: half of the greatest."""
_USUAL = 0.99
_NOISES = 4
_NOISE = 0.1
_SIZES = (0.9, 1.1)
_BLUR = (0.25, 0.5, 0.25)


@dataclass(frozen=True, slots=True, eq=False)
class Doubt:
    """What speaks against inputs that were made, one a target.

    Attributes:
        survival: share of the answer above the mean that is left after small changes, the mean over them [m].
        real_survival: the same of the strongest training rows [m].
        unlike: share of the power at high frequencies; for columns the Mahalanobis distance [m].
        usual: what 99 % of the training rows do not exceed there.
        is_noise: the input is called noise [m].
    """

    survival: Float64[Array, "m"]
    real_survival: Float64[Array, "m"]
    unlike: Float64[Array, "m"]
    usual: float
    is_noise: Bool[Array, "m"]


def doubt(
    made: Tensor,
    strongest: Sequence[Tensor],
    rows: Tensor,
    answer: Callable[[Tensor], Tensor],
    mean: Float[Tensor, "m"],
    *,
    is_map: bool,
) -> Doubt:
    """What speaks against some inputs.

    Args:
        made: one for each target.
        strongest: training rows: the strongest of each target, the second strongest of each, and so on.
        rows: training rows.
        answer: what each target answers to the input in its own place.
        mean: answer of each target to the training rows.
        is_map: the rows are images.

    Cost:
        A forward pass of the inputs and the strongest rows for each of seven changes.
    """
    changes = _image_changes() if is_map else _column_changes(rows)
    own = survival(made, answer, mean, changes)
    real = torch.stack([survival(each, answer, mean, changes) for each in strongest]).mean(0)
    unlike, usual = high_frequency(made, rows) if is_map else _distance(made, rows)
    plain, best = answer(made) - mean, torch.stack([answer(each) for each in strongest]).amax(0) - mean
    is_far = (best > 0) & (plain > FAR * best) & (unlike > usual)
    is_noise = (plain > 0) & ((own < LEAST * real) | is_far)
    return Doubt(
        own.double().cpu().numpy(), real.double().cpu().numpy(), unlike.double().cpu().numpy(), usual,
        is_noise.cpu().numpy(),
    )  # fmt: skip


def survival(
    x: Tensor,
    answer: Callable[[Tensor], Tensor],
    mean: Float[Tensor, "m"],
    changes: Sequence[Callable[[Tensor], Tensor]],
) -> Float[Tensor, "m"]:
    """Share of the answer above the mean that is left, the mean over the changes; 0 where there is none."""
    above = answer(x) - mean
    left = torch.stack([answer(change(x)) - mean for change in changes]).mean(0)
    return torch.where(above > 0, left / above.clamp_min(1e-12), torch.zeros_like(above)).clamp(-1, 1)


def _image_changes() -> list[Callable[[Tensor], Tensor]]:
    """Shifts by a pixel, two sizes, a blur."""
    places = ((0, 1), (2, 1), (1, 0), (1, 2))
    shifts = [lambda x, at=at: _on_maps(x, lambda maps: shift(maps, 1, *at)) for at in places]
    sizes = [lambda x, by=by: _on_maps(x, lambda maps: _resize(maps, by)) for by in _SIZES]
    return [*shifts, *sizes, lambda x: _on_maps(x, _blur)]


def _column_changes(rows: Tensor) -> list[Callable[[Tensor], Tensor]]:
    """Noise of a tenth of each column's spread, the same for every row."""
    spread = rows.std(0, correction=0)
    drawn = torch.randn(_NOISES, *rows.shape[1:], generator=torch.Generator().manual_seed(0)).to(rows)
    return [lambda x, e=e: x + _NOISE * spread * e for e in drawn]


def shift(maps: Float[Tensor, "n c h w"], most: int, down: int, right: int) -> Float[Tensor, "n c h w"]:
    """Images moved by `most - down` and `most - right` pixels, their edges drawn out.

    Example:
        >>> shift(torch.eye(2)[None, None], 1, 0, 1)
        tensor([[[[1., 0.],
                  [1., 0.]]]])
    """
    h, w = maps.shape[2:]
    return F.pad(maps, (most,) * 4, mode="replicate")[:, :, down : down + h, right : right + w]


def _on_maps(x: Tensor, change: Callable[[Tensor], Tensor]) -> Tensor:
    return from_maps(change(as_maps(x)), tuple(x.shape[1:]))


def _resize(maps: Tensor, by: float) -> Tensor:
    h, w = maps.shape[2:]
    turn = torch.tensor([[1 / by, 0, 0], [0, 1 / by, 0]], dtype=maps.dtype, device=maps.device)
    grid = F.affine_grid(turn.expand(len(maps), 2, 3), [len(maps), maps.shape[1], h, w], align_corners=False)
    return F.grid_sample(maps, grid, mode="bilinear", padding_mode="border", align_corners=False)


def _blur(maps: Tensor) -> Tensor:
    c = maps.shape[1]
    line = torch.tensor(_BLUR, dtype=maps.dtype, device=maps.device)
    kernel = torch.outer(line, line).expand(c, 1, 3, 3)
    return F.conv2d(F.pad(maps, (1,) * 4, mode="replicate"), kernel, groups=c)


def high_frequency(made: Tensor, rows: Tensor) -> tuple[Tensor, float]:
    """Share of the power, means aside, at high frequencies: of some images, and what 99 % of others do not exceed."""
    own, real = (_share_of_high(as_maps(x)) for x in (made, rows))
    return own, float(real.double().quantile(_USUAL))


def _share_of_high(maps: Tensor) -> Tensor:
    power = torch.fft.fft2(maps.double()).abs() ** 2  # there is none of half numbers
    power[..., 0, 0] = 0
    down, right = (torch.fft.fftfreq(n, device=maps.device).abs() for n in maps.shape[2:])
    is_high = torch.maximum(down[:, None], right[None, :]) > _HIGH
    return (power * is_high).sum((1, 2, 3)) / power.sum((1, 2, 3)).clamp_min(1e-12)


def _distance(made: Tensor, rows: Tensor) -> tuple[Tensor, float]:
    flat = rows.flatten(1).double()
    white = Whitening(flat)
    return white.length(made.flatten(1).double()), float(white.length(flat).quantile(_USUAL))
