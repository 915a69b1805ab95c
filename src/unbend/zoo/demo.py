"""The networks that are trained when a person names none.

In: a seed. Out: a trained network and its data. Must not know what is done with them.
"""

from collections.abc import Callable

from torch import nn

from unbend.zoo.networks import mlp
from unbend.zoo.sets import DataSet
from unbend.zoo.tables import digits_data
from unbend.zoo.toys import moons
from unbend.zoo.training import Recipe, train

_RECIPE = Recipe(epochs=30, batch_size=32)
_MOONS_RECIPE = Recipe(epochs=200, batch_size=50, rate=0.01)
_NARROW_RECIPE = Recipe(epochs=60, batch_size=50, rate=0.02)


def digits(seed: int = 0, *, progress: Callable[[int, int], None] | None = None) -> tuple[nn.Sequential, DataSet]:
    """A small network trained on real handwritten digits: 64-128-64-32-10, ReLU, in evaluation mode.

    The data are scikit-learn's 1,797 digits of 8 x 8 pixels, scaled from 0..16 to 0..1, a fifth of each class
    held out. The same seed gives the same bits; torch's generator and thread count are left as they were.

    Args:
        seed: of the split, the initial weights and the order of the samples.
        progress: called after every epoch with the epochs done and the epochs in all.

    Cost:
        About two seconds on one core.
    """
    data = digits_data(seed=seed)
    model = mlp([64, 128, 64, 32, 10], seed=seed)
    train(model, *data.train, _RECIPE, seed=seed, progress=progress)
    return model.eval(), data


def two_moons(seed: int = 0, *, progress: Callable[[int, int], None] | None = None) -> tuple[nn.Sequential, DataSet]:
    """A small network of two inputs trained on two half moons: 2-16-16-2, ReLU, in evaluation mode.

    The same seed gives the same bits; torch's generator and thread count are left as they were.

    Args:
        seed: of the data and their split, the initial weights and the order of the samples.
        progress: called after every epoch with the epochs done and the epochs in all.

    Cost:
        About a second on one core.
    """
    data = moons(seed=seed)
    model = mlp([2, 16, 16, 2], seed=seed)
    train(model, *data.train, _MOONS_RECIPE, seed=seed, progress=progress)
    return model.eval(), data


def moons_in_two(seed: int = 0) -> tuple[nn.Sequential, DataSet]:
    """A small network trained on two half moons, its last hidden layer of two units: 2-16-2-2, tanh.

    The classes overlap in the plane of the input; in that of the two units a line parts them, for seeds 0 to 3.

    Args:
        seed: of the data and their split, the initial weights and the order of the samples.

    Cost:
        A fifth of a second on one core.
    """
    data = moons(seed=seed)
    model = mlp([2, 16, 2, 2], activation="tanh", seed=seed)
    train(model, *data.train, _NARROW_RECIPE, seed=seed)
    return model.eval(), data
