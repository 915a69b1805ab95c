"""Neural collapse: how near the last hidden layer and the head are to the simplex they may end in."""

import numpy as np

from unbend._typing import Array, Float64
from unbend.numerics.result import result
from unbend.numerics.sample import SampleState
from unbend.numerics.scatter import centred_means, scatter
from unbend.numerics.second import SecondState


@result
class Collapse:
    """The four measures of neural collapse, on the training rows; all go to 0.

    Attributes:
        nc1: tr(S_W S_B⁺) / k, variability within classes against between, every class weighing as many rows as it has.
        nc2_norm: spread of the class means' distances to the mean, over their average.
        nc2_angle: average distance of the cosines between class means from -1/(k-1).
        nc3: squared distance between the normalised head and the normalised class means.
        nc4: share of rows where the head and the nearest class mean disagree.
        n: rows NC1-NC3 were measured on.
        nc1_even: the same as Papyan defines it: the class means weigh alike in S_B, however many rows they have.
    """

    nc1: float
    nc2_norm: float
    nc2_angle: float
    nc3: float
    nc4: float
    n: int
    nc1_even: float = np.nan


def collapse(
    state: SecondState, sample: SampleState, weight: Float64[Array, "k d"], bias: Float64[Array, "k"]
) -> Collapse | None:
    """NC1-NC4 of the layer that feeds the head.

    None where they mean nothing: a regression, an empty class, a class mean at the centre of all, a head that
    is 0 or does not fit the layer.

    Args:
        state: second moments of that layer.
        sample: rows of that layer.
        weight: the head's weight.
        bias: the head's bias.

    Source:
        Papyan, Han & Donoho 2020.
    """
    second = state.settle()
    spread = scatter(second)
    k = len(second.y_mean)
    rows = sample.table()[0].astype(np.float64)
    rows = rows[np.isfinite(rows).all(1)]
    if spread is None or not len(rows) or spread.n_classes < max(k, 2) or weight.shape != (k, len(second.mean)):
        return None
    means = centred_means(second).T
    centre = means.mean(0)
    simplex = means - centre
    norm = np.linalg.norm(simplex, axis=1)
    size = np.linalg.norm(weight)
    if not (norm > 0).all() or not size > 0:
        return None
    cosine = (simplex @ simplex.T) / np.outer(norm, norm)
    off = ~np.eye(k, dtype=bool)
    gap = weight / size - simplex / np.linalg.norm(simplex)
    centres = means + second.mean
    nearest = ((centres**2).sum(1) - 2 * rows @ centres.T).argmin(1)
    disagree = float((nearest != (rows @ weight.T + bias).argmax(1)).mean())
    return Collapse(
        nc1=spread.separation / k,
        nc2_norm=float(norm.std() / norm.mean()),
        nc2_angle=float(np.abs(cosine[off] + 1 / (k - 1)).mean()),
        nc3=float((gap**2).sum()),
        nc4=disagree,
        n=second.n,
        nc1_even=_even(second, simplex),
    )


def _even(second: SecondState, simplex: Float64[Array, "k d"]) -> float:
    """tr(Σ_W Σ_B⁺) / k with Σ_B the plain average over the classes; the k means span at most k - 1 directions."""
    k = len(simplex)
    _, size, across = np.linalg.svd(simplex, full_matrices=False)
    across, size = across[: k - 1][size[: k - 1] > 0], size[: k - 1][size[: k - 1] > 0]
    means = second.cross / np.sqrt(second.y_mean * second.n)
    total = np.einsum("rd,de,re->r", across, second.gram, across, optimize=True)
    within = np.maximum(total - ((across @ means) ** 2).sum(1), 0) / second.n
    return float((within / (size**2 / k)).sum() / k)
