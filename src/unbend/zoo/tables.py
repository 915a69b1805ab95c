"""Real data sets that come with scikit-learn.

Comes in: a seed of the split. Goes out: `DataSet`. This module must not know networks.
"""

from typing import Any

import torch

from unbend.zoo.sets import DataSet, split


def digits_data(*, held_out: float = 0.2, seed: int = 0) -> DataSet:
    """Scikit-learn's 1,797 handwritten digits of 8 x 8 pixels, scaled from 0..16 to 0..1.

    Args:
        held_out: share of every class that is held out.
        seed: of the split.
    """
    from sklearn.datasets import load_digits  # noqa: PLC0415

    bunch: Any = load_digits()
    x, y = bunch.data, bunch.target
    parts = split(
        torch.from_numpy(x / 16.0).float(), torch.from_numpy(y).long(), held_out=held_out, seed=seed
    )
    names = tuple(str(digit) for digit in range(10))
    source = "UCI Optical Recognition of Handwritten Digits by scikit-learn, divided by 16; CC BY 4.0"
    return DataSet(*parts, names, "digits", source)
