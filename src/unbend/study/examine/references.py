"""How well simple readers of the raw input do on the same rows: what is known to be attainable.

In: a subject. Out: `Scores`, and the readers that other questions use.
"""

import math
import warnings
from typing import Any, TypeAlias

import numpy as np
import torch

from unbend._typing import Array
from unbend.numerics.forest import class_votes, mean_targets
from unbend.study.examine.kept import kept
from unbend.study.examine.subject import Subject, pooled_r2
from unbend.study.examine.values import Scores

Table: TypeAlias = tuple[Array, Array, Array, Array]
"""x, y of training; x, y of held out."""
_LEAST, _LEAST_R2 = 0.04, 0.07
"""Shortfalls that are never called one, however many rows there are."""
_TREES, _LEAF = 80, 3
"""Trees, and for targets the rows that a leaf holds at least."""
_LEAST_PER_CLASS = 3
"""Rows examined per class below which no simple reader is a reference: with thousands of classes it would only cost."""
_ONE_SIDED = 1.64
"""Standard errors that a difference exceeds by chance in one case of twenty."""


def scores(subject: Subject) -> Scores:
    """The network's scores against references; these are asked only where the network could fall short of them.

    Cost:
        A logistic or ridge regression, 80 trees and a neighbour search on at most 1,500 rows: about a second, and
        little where the same rows were asked about lately.
    """
    own = subject.score(subject.out, subject.train.y)
    unseen = subject.score(subject.out_held_out, subject.held_out.y)
    table = subject.table
    best = 1.0
    is_sparse = subject.train.n < _LEAST_PER_CLASS * subject.n_classes
    is_near = best - unseen <= (_LEAST if subject.n_classes else _LEAST_R2)
    if is_sparse or table is None or is_near or not len(table[3]) or are_inputs(table):
        linear = curved = math.nan
    else:
        linear, curved = read_linearly(*table), _best_curved(subject, table)
    reachable = np.nanmax([linear, curved]) if linear == linear or curved == curved else 1.0  # noqa: PLR0124
    return Scores(
        train=own,
        held_out=unseen,
        majority=subject.held_out.majority,
        linear=linear,
        curved=curved,
        margin=_margin(subject, float(reachable)),
    )


def are_inputs(table: Table) -> bool:
    """Whether the targets are the inputs themselves, as those of an autoencoder: to copy them is no feat."""
    x, y = table[:2]
    return y.ndim == 2 and y.shape[1] > 1 and y.shape == x.shape and bool(np.allclose(x, y, atol=1e-6))


def _margin(subject: Subject, reachable: float) -> float:
    if not subject.n_classes:
        return _LEAST_R2
    p = min(max(reachable, 0.02), 0.98)
    return max(_LEAST, _ONE_SIDED * math.sqrt(p * (1 - p) / max(subject.held_out.n, 1)))


@kept
def read_linearly(x: Array, y: Array, x_held_out: Array, y_held_out: Array) -> float:
    """Held-out score of a logistic (for targets: ridge) regression on standardised columns."""
    from sklearn.linear_model import LogisticRegression, Ridge
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    is_classes = y.dtype.kind == "i"
    if is_classes and len(np.unique(y)) < 2:
        return float((y_held_out == y[0]).mean())
    reader = make_pipeline(StandardScaler(), LogisticRegression(C=0.5, max_iter=200) if is_classes else Ridge(1.0))
    return fitted_score(reader, x, y, x_held_out, y_held_out)


def fitted_score(reader: Any, x: Array, y: Array, x_held_out: Array, y_held_out: Array) -> float:
    """Held-out score of a reader after fitting it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # one that has not converged is still a reference: a lower bound
        reader.fit(x, y if y.dtype.kind == "i" else y[:, 0] if y.shape[1] == 1 else y)
        found = reader.predict(x_held_out)
    if y.dtype.kind == "i":
        return float((found == y_held_out).mean())
    return pooled_r2(torch.from_numpy(np.asarray(found, np.float64)), torch.from_numpy(y_held_out))


@kept
def read_by_trees(x: Array, y: Array, x_held_out: Array, y_held_out: Array) -> float:
    """Held-out score of extremely randomised trees."""
    if y.dtype.kind == "i":
        classes, code = np.unique(y, return_inverse=True)
        votes = class_votes(x, code, x_held_out, n_trees=_TREES)
        return float((classes[votes.argmax(1)] == y_held_out).mean())
    found = mean_targets(x, y, x_held_out, n_trees=_TREES, smallest=_LEAF)
    return pooled_r2(torch.from_numpy(found), torch.from_numpy(y_held_out))


def _best_curved(subject: Subject, table: Table) -> float:
    """The better of trees and neighbours."""
    from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    n = len(table[1])
    near = min(5 if subject.n_classes else 10, n)
    neighbours = KNeighborsClassifier(near) if subject.n_classes else KNeighborsRegressor(near)
    return max(read_by_trees(*table), fitted_score(make_pipeline(StandardScaler(), neighbours), *table))
