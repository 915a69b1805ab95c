"""The data as such: how columns are scaled, whether labels follow from inputs, how the two parts relate.

In: a subject, its scores. Out: `DataFacts`. Trees are asked only where the network falls short or the parts differ.
"""

import math

import numpy as np
import torch
from torch import Tensor

from unbend._typing import Array
from unbend.study.examine.subject import Subject
from unbend.study.examine.values import DataFacts, Scores

_PAIR = 400
"""Rows of each part that trees are to tell apart."""
_COLUMNS = 100
"""Columns that are each asked alone for the label."""
_FEWEST = 40
APART = 0.75
"""Area under the ROC curve from which two parts are said to differ; 1/2 is chance."""


def rows(subject: Subject, scores: Scores, *, is_normalised: bool) -> DataFacts:
    """What the data show by themselves."""
    spread, size, offset = _scale(subject)
    targets = None if subject.n_classes else subject.train.y.double()
    differs = scores.train - scores.held_out
    ask = scores.is_ill or differs > 0.2
    apart = _apart(subject) if ask or differs > 0.05 else math.nan
    ask = ask or apart > APART
    inside = _inside(subject) if ask and subject.n_classes else (math.nan, math.nan)
    leak, leak_score = _leak(subject, scores)
    return DataFacts(
        spread_low=spread[0],
        spread_median=spread[1],
        spread_high=spread[2],
        size=size,
        offset=offset,
        is_normalised=is_normalised,
        y_mean=math.nan if targets is None else float(targets.mean()),
        y_spread=math.nan if targets is None else float(targets.std()),
        counts=np.bincount(subject.train.y.numpy(), minlength=subject.n_classes) if subject.n_classes else None,
        confusion=confusion(subject),
        in_train=inside[0],
        in_held_out=inside[1],
        majority_train=_majority(subject.train.y) if subject.n_classes else 0.0,
        apart=apart,
        copies=_copies(subject),
        leak=leak,
        leak_score=leak_score,
    )


def _scale(subject: Subject) -> tuple[tuple[float, float, float], float, float]:
    """Least, median and greatest spread of the columns that vary; overall size; median |mean| / spread."""
    x = subject.train.inputs
    if not isinstance(x, Tensor) or not x.is_floating_point() or x.ndim < 2:
        return (math.nan, math.nan, math.nan), math.nan, math.nan
    columns = (x.movedim(1, -1) if x.ndim >= 4 else x).reshape(-1, x.shape[1] if x.ndim >= 4 else x.shape[-1]).double()
    mean, std = columns.mean(0), columns.std(0)
    live = std[std > 0]
    if not len(live):
        return (math.nan, math.nan, math.nan), float(columns.pow(2).mean().sqrt()), math.nan
    offset = float((mean.abs() / std.clamp_min(1e-12)).median())
    ends = float(live.min()), float(live.median()), float(live.max())
    return ends, float(columns.pow(2).mean().sqrt()), offset


def _majority(y: Tensor) -> float:
    return float(torch.bincount(y).max() / len(y))


def confusion(subject: Subject) -> Array | None:
    """Held-out rows of class i that the network calls j [k, k]; None where its output is no score per class."""
    k, out = subject.n_classes, subject.out_held_out
    if not k or not (out.shape[1] == k or (out.shape[1] == 1 and k == 2)) or not bool(torch.isfinite(out).all()):
        return None
    found = np.zeros((k, k), np.int64)
    np.add.at(found, (subject.held_out.y.numpy(), subject.guess(out).numpy()), 1)
    return found


def _inside(subject: Subject) -> tuple[float, float]:
    """Cross-validated accuracy of trees within each part: do its labels follow from its inputs at all?"""
    from sklearn.ensemble import ExtraTreesClassifier
    from sklearn.model_selection import StratifiedKFold, cross_val_score

    table = subject.table
    if table is None:
        return math.nan, math.nan
    folds = StratifiedKFold(3, shuffle=True, random_state=0)
    trees = ExtraTreesClassifier(60, random_state=0)
    found = []
    for x, y in ((table[0], table[1]), (table[2], table[3])):
        counts = np.bincount(y)
        can = len(counts[counts > 0]) > 1 and counts[counts > 0].min() >= folds.get_n_splits()
        found.append(float(cross_val_score(trees, x, y, cv=folds).mean()) if can else math.nan)
    return found[0], found[1]


def _apart(subject: Subject) -> float:
    """Area under the ROC curve with which trees tell training from held-out inputs, cross-validated."""
    from sklearn.ensemble import ExtraTreesClassifier
    from sklearn.metrics import roc_auc_score
    from sklearn.model_selection import StratifiedKFold, cross_val_predict

    table = subject.table
    n = 0 if table is None else min(len(table[1]), len(table[3]), _PAIR)
    if table is None or n < _FEWEST:
        return math.nan
    x = np.concatenate([_spread(table[0], n), _spread(table[2], n)])
    part = np.repeat([0, 1], n)
    trees = ExtraTreesClassifier(60, min_samples_leaf=3, random_state=0)
    folds = StratifiedKFold(3, shuffle=True, random_state=0)
    return float(roc_auc_score(part, cross_val_predict(trees, x, part, cv=folds, method="predict_proba")[:, 1]))


def _spread(x: Array, n: int) -> Array:
    """That many rows from all over a table."""
    return x[np.linspace(0, len(x) - 1, n).astype(int)]


def _copies(subject: Subject) -> float:
    """Share of the held-out rows whose inputs are in the training set too."""
    table = subject.table
    if table is None or not len(table[2]) or table[0].shape[1] < 2:
        return 0.0
    known = {row.tobytes() for row in table[0]}
    return float(np.mean([row.tobytes() in known for row in table[2]]))


def _leak(subject: Subject, scores: Scores) -> tuple[int, float]:
    """A column that tells the label alone, in a table where the network is right on nearly everything."""
    from sklearn.tree import DecisionTreeClassifier

    table, x = subject.table, subject.train.inputs
    if table is None or not subject.n_classes or x.ndim != 2 or x.shape[1] < 5 or scores.held_out < 0.9:
        return -1, math.nan
    for j in range(min(x.shape[1], _COLUMNS)):
        tree = DecisionTreeClassifier(max_leaf_nodes=max(subject.n_classes, 2), random_state=0)
        found = tree.fit(table[0][:, [j]], table[1]).score(table[2][:, [j]], table[3])
        if found >= 0.995:
            return j, float(found)
    return -1, math.nan
