"""Small public data in three parts: rows to train on, rows to hold out, and fresh rows of the world as it is.

In: a seed, which shuffles the rows before they are cut. Out: `Parts`, standardised by one mean and one spread for
images and series, by column for tables. Faults are planted in the first two parts, never in the fresh one.
"""

import gzip
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import torch
from mnist1d.data import get_dataset_args, make_dataset
from sklearn import datasets
from torch import Tensor

FASHION = Path("/usr/share/datasets/fashion-mnist")
Part = tuple[Tensor, Tensor]


@dataclass(frozen=True, slots=True, eq=False)
class Parts:
    """Rows with their labels, cut at random.

    Attributes:
        train: the rows to train on.
        test: the rows to hold out.
        fresh: rows that no fault touches.
    """

    train: Part
    test: Part
    fresh: Part


def cut(x, y, seed, sizes, *, by_column=False):
    order = np.random.default_rng(seed).permutation(len(x))[: sum(sizes)]
    a, b, c = np.split(order, np.cumsum(sizes)[:-1])
    mean, spread = (x[a].mean(0), x[a].std(0) + 1e-8) if by_column else (x[a].mean(), x[a].std())
    x = ((x - mean) / spread).astype(np.float32)
    y = y.astype(np.int64) if y.dtype.kind in "iub" else y.astype(np.float32)
    train, test, fresh = ((torch.from_numpy(x[rows]), torch.from_numpy(y[rows])) for rows in (a, b, c))
    return Parts(train, test, fresh)


@cache
def _idx(name, offset):
    with gzip.open(FASHION / f"{name}.gz") as file:
        return np.frombuffer(file.read()[offset:], np.uint8)


@cache
def _clothes():
    images = _idx("t10k-images-idx3-ubyte", 16).reshape(-1, 1, 14, 2, 14, 2).mean((3, 5))
    return images, _idx("t10k-labels-idx1-ubyte", 8)


@cache
def _series():
    found = make_dataset(get_dataset_args())
    return np.concatenate([found["x"], found["x_test"]]), np.concatenate([found["y"], found["y_test"]])


def digits(seed):
    return cut(*datasets.load_digits(return_X_y=True), seed, (900, 450, 447))


def digit_images(seed):
    x, y = datasets.load_digits(return_X_y=True)
    return cut(x.reshape(-1, 1, 8, 8), y, seed, (900, 450, 447))


def digit_rows(seed):
    x, y = datasets.load_digits(return_X_y=True)
    return cut(x.reshape(-1, 8, 8), y, seed, (900, 450, 447))


def clothes(seed):
    return cut(*_clothes(), seed, (2000, 500, 800))


def flat_clothes(seed):
    x, y = _clothes()
    return cut(x.reshape(len(x), -1), y, seed, (1200, 500, 800))


def shirts(seed):
    """T-shirts against shirts: two classes that are hard to tell."""
    x, y = _clothes()
    rows = (y == 0) | (y == 6)
    return cut(x[rows].reshape(int(rows.sum()), -1), (y[rows] == 6).astype(np.int64), seed, (900, 500, 600))


def series(seed):
    return cut(*_series(), seed, (2000, 700, 1000))


def series_channel(seed):
    x, y = _series()
    return cut(x[:, None], y, seed, (2000, 700, 1000))


def friedman(seed):
    x, y = datasets.make_friedman1(2100, noise=1.0, random_state=seed)
    return cut(x, ((y - y.mean()) / y.std())[:, None], seed, (900, 500, 700), by_column=True)


def moons(seed):
    x, y = datasets.make_moons(1800, noise=0.15, random_state=seed)
    return cut(x, y, seed, (700, 500, 600), by_column=True)


def cancer(seed):
    return cut(*datasets.load_breast_cancer(return_X_y=True), seed, (300, 130, 139), by_column=True)


def wine(seed):
    return cut(*datasets.load_wine(return_X_y=True), seed, (90, 40, 48), by_column=True)


def diabetes(seed):
    x, y = datasets.load_diabetes(return_X_y=True)
    return cut(x, ((y - y.mean()) / y.std())[:, None], seed, (240, 100, 102), by_column=True)


def rare_shirts(seed):
    """Nineteen other clothes for every shirt."""
    x, y = _clothes()
    g = np.random.default_rng(1000 + seed)
    others, rare = np.flatnonzero(np.isin(y, (1, 5, 7, 9))), np.flatnonzero(y == 6)
    rows = np.concatenate([g.choice(others, 2280, replace=False), g.choice(rare, 120, replace=False)])
    return cut(x[rows].reshape(len(rows), -1), (y[rows] == 6).astype(np.int64), seed, (1200, 500, 700))


def pictures_of_themselves(seed):
    """Digits as their own targets."""
    parts = digits(seed)
    return Parts(*((x, x.clone()) for x, _ in (parts.train, parts.test, parts.fresh)))
