"""Linear read-outs of numbers: representations and targets come in, R² on held-out rows goes out."""

from collections.abc import Mapping, Sequence
from statistics import NormalDist

import numpy as np
import torch
from jaxtyping import Float, Float64, Shaped
from torch import Tensor

from unbend.errors import DataError, ShapeError
from unbend.numerics.floating import as_shipped
from unbend.numerics.probe.closed import CrossProducts, RidgeFolds, ridge_folds, sums
from unbend.numerics.probe.inputs import require_range
from unbend.numerics.probe.suite import L2S
from unbend.numerics.result import result


@result
class Regression:
    """The linear read-out of targets from one layer: `h @ weight.T + bias`.

    Attributes:
        layer: its dotted name.
        weight: one row per target.
        bias: one number per target.
        l2: the chosen penalty.
        r2: 1 - residual / total sum of squares on held-out rows, for each target.
        low: lower end of its interval.
        high: upper end.
        path: penalties that were tried.
        path_r2: the cross-validated R² of each, by which `l2` was chosen.
        shuffled_r2: held-out R² of the same read-out fitted to shuffled targets; at or below 0.
        capacity: R² of that one on the rows it was fitted to.
        n: fitted rows.
        n_test: held-out rows.
    """

    layer: str
    weight: Float64[np.ndarray, "t d"]
    bias: Float64[np.ndarray, " t"]
    l2: float
    r2: Float64[np.ndarray, " t"]
    low: Float64[np.ndarray, " t"]
    high: Float64[np.ndarray, " t"]
    path: Float64[np.ndarray, " m"]
    path_r2: Float64[np.ndarray, "m t"]
    shuffled_r2: Float64[np.ndarray, " t"]
    capacity: Float64[np.ndarray, " t"]
    n: int
    n_test: int


@as_shipped()
def regress(
    representations: Mapping[str, Shaped[Tensor, "..."] | Shaped[np.ndarray, "..."]],
    targets: Float[Tensor, "..."] | Float[np.ndarray, "..."],
    *,
    l2s: Sequence[float] = L2S,
    test_share: float = 0.25,
    seed: int = 0,
) -> dict[str, Regression]:
    """Ridge regression of targets on every layer, the penalty chosen by exact five-fold cross-validation.

    Args:
        representations: layer to rows.
        targets: one or several numbers for each row.
        l2s: penalties, in standardised units and against the mean squared error.
        test_share: rows held out for R².
        seed: draws the rows.

    Raises:
        ShapeError: rows and targets that do not fit.
        DataError: fewer than ten rows, values that are not finite or whose squares float64 cannot hold.

    Cost:
        One pass over each layer; n d² / 2 + 5 · penalties · d³ / 3 multiplications.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> h = rng.normal(size=(400, 3))
        >>> found = regress({"h": h}, h @ [1.0, 2.0, 0.0] + rng.normal(size=400))["h"]
        >>> bool(found.low[0] < 5 / 6 < found.high[0]), bool(found.shuffled_r2[0] < 0.05)
        (True, True)
    """
    y = torch.as_tensor(targets).detach().cpu().double()
    y = y[:, None] if y.ndim == 1 else y
    if len(y) < 10 or not bool(torch.isfinite(y).all()):
        raise DataError(f"targets: expected at least ten finite rows, got {len(y)}. Leave out rows without a number.")
    require_range("targets", y)
    order = torch.randperm(len(y), generator=torch.Generator().manual_seed(seed))
    n_test = max(1, round(test_share * len(y)))
    fitted, held = order[n_test:], order[:n_test]
    swapped = fitted[torch.randperm(len(fitted), generator=torch.Generator().manual_seed(seed + 1))]
    both = torch.cat([y[fitted], y[swapped]], 1)
    result = {}
    for name, rows in representations.items():
        h = torch.as_tensor(rows).detach().cpu()
        if h.ndim != 2 or len(h) != len(y):
            raise ShapeError(f"{name}: expected [{len(y)}, d], got {list(h.shape)}. Flatten all axes but the first.")
        require_range(name, h)
        result[name] = _regression(name, (h[fitted], both), (h[held], y[held]), l2s)
    return result


def _regression(
    name: str, fitted: tuple[Tensor, Tensor], held: tuple[Tensor, Tensor], l2s: Sequence[float]
) -> Regression:
    (h, both), (h_test, y_test) = fitted, held
    t = y_test.shape[1]
    parts = [sums(h[f::5], both[f::5]) for f in range(5)]
    real = ridge_folds([_columns(p, slice(None, t)) for p in parts], l2s)
    null = ridge_folds([_columns(p, slice(t, None)) for p in parts], [real.chosen])
    mean = both[:, :t].mean(0).numpy()
    r2, low, high = _r2(h_test, y_test, real, mean)
    shuffled_r2 = _r2(h_test, y_test, null, mean)[0]
    capacity = _r2(h, both[:, t:], null, mean)[0]
    return Regression(
        layer=name,
        weight=real.weight,
        bias=real.bias,
        l2=real.chosen,
        r2=r2,
        low=low,
        high=high,
        path=real.l2,
        path_r2=real.r2,
        shuffled_r2=shuffled_r2,
        capacity=capacity,
        n=len(h),
        n_test=len(h_test),
    )


def _columns(m: CrossProducts, keep: slice) -> CrossProducts:
    return CrossProducts(m.n, m.mean, m.gram, m.y_mean[keep], m.cross[:, keep], m.yy[keep, keep])


def _r2(
    h: Tensor, y: Tensor, found: RidgeFolds, mean: np.ndarray, level: float = 0.95
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """R² about the fitted mean, with the delta-method interval of a ratio of means."""
    told = torch.cat([block.double() @ torch.from_numpy(found.weight).T for block in h.split(4096)]).numpy()
    error, spread = (y.numpy() - told - found.bias) ** 2, (y.numpy() - mean) ** 2
    below = np.maximum(spread.mean(0), 1e-300)
    ratio = error.mean(0) / below
    half = NormalDist().inv_cdf((1 + level) / 2) * np.sqrt(((error - ratio * spread) ** 2).mean(0) / len(h)) / below
    return 1 - ratio, 1 - ratio - half, np.minimum(1 - ratio + half, 1.0)
