"""Networks with known counts: degenerate ones whose truth an exact-rational oracle gave, and random ones."""

from itertools import pairwise

import numpy as np
import pytest
import torch

from unbend.numerics.cells import Plane
from unbend.numerics.piecewise import PiecewiseAffine, network


def mlp(widths, seed=0, *, d=2, k=1, slope=0.0):
    """PyTorch's default initialisation, as (Linear, ReLU) x depth, Linear."""
    generator = torch.Generator().manual_seed(seed)
    sizes = [d, *widths, k]
    weights, biases = [], []
    for n_in, n_out in pairwise(sizes):
        bound = n_in**-0.5
        weights.append(((torch.rand(n_out, n_in, generator=generator) * 2 - 1) * bound).double().numpy())
        biases.append(((torch.rand(n_out, generator=generator) * 2 - 1) * bound).double().numpy())
    return network(weights[:-1], biases[:-1], weights[-1], biases[-1], slope=slope)


def plain(weights, biases) -> PiecewiseAffine:
    """Lists of numbers as a network."""
    weights = [np.array(w, float) for w in weights]
    biases = [np.array(b, float) for b in biases]
    return network(weights[:-1], biases[:-1], weights[-1], biases[-1])


def tent(k):
    """The map 1 - 2|x| on each axis, composed k times: 4 ** k cells on [-1, 1]^2."""
    split = np.array([[1, 0], [-1, 0], [0, 1], [0, -1]], float)
    fold, lift = np.array([[-2, -2, 0, 0], [0, 0, -2, -2]], float), np.ones(2)
    weights, biases = [split], [np.zeros(4)]
    for _ in range(k - 1):
        weights.append(split @ fold)
        biases.append(split @ lift)
    return plain([*weights, fold], [*biases, lift])


def integer(seed):
    rng = np.random.default_rng(seed)
    return plain(
        [rng.integers(-1, 2, (8, 2)), rng.integers(-1, 2, (8, 8)), rng.integers(-1, 2, (1, 8))],
        [rng.integers(-2, 3, 8) / 2, rng.integers(-2, 3, 8) / 2, [0]],
    )


def _degenerate():
    rng = np.random.default_rng(0)
    lines = rng.standard_normal((16, 2))
    nets = {
        "16 lines through the origin": (plain([lines, np.ones((1, 16))], [np.zeros(16), [0]]), 32),
        "xor": (plain([[[1, 1], [1, 1]], [[1, -2]]], [[0, -1], [0]]), 3),
    }
    nets |= {f"tent {k}": (tent(k), 4**k) for k in range(1, 5)}
    nets |= {f"integer {seed}": (integer(seed), n) for seed, n in enumerate((27, 32, 33, 46))}
    w, b = rng.standard_normal((8, 2)), rng.standard_normal(8) * 0.3
    twice = (rng.standard_normal((8, 16)), rng.standard_normal(8) * 0.3)
    nets["duplicate units"] = (plain([np.vstack([w, w]), twice[0], np.ones((1, 8))], [np.r_[b, b], twice[1], [0]]), 111)
    scaled = (rng.standard_normal((8, 16)), rng.standard_normal(8) * 0.3)
    nets["duplicates times -3"] = (
        plain([np.vstack([w, -3 * w]), scaled[0], np.ones((1, 8))], [np.r_[b, -3 * b], scaled[1], [0]]),
        139,
    )
    dead = plain([[[1, 0], [0, 0]], [[1, 1], [0, 1]], [[1, 1]]], [[0, 0], [-0.5, 0], [0]])
    nets["dead units and zero weights"] = (dead, 3)
    return nets


DEGENERATE = _degenerate()


@pytest.fixture
def square():
    return Plane.box((-1.0, -1.0), (1.0, 1.0))


@pytest.fixture(params=sorted(DEGENERATE))
def degenerate(request):
    return DEGENERATE[request.param]


@pytest.fixture
def make_mlp():
    return mlp


@pytest.fixture
def make_tent():
    return tent
