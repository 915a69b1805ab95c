"""The data as such: how columns are scaled, whether labels follow from inputs, how the two parts relate.

In: a subject, its scores. Out: `DataFacts`. Trees are asked only where the network falls short or the parts differ.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from unbend._typing import Array
from unbend.numerics.rates import average_precision
from unbend.study.examine.kept import keep_answers
from unbend.study.examine.references import are_inputs
from unbend.study.examine.subject import Subject, pooled_r2
from unbend.study.examine.values import APART, DataFacts, Scores

_PAIR = 400
"""Rows of each part that trees are to tell apart."""
_COLUMNS = 100
"""Columns that are each asked alone for the label."""
_FEWEST = 40
_FOLDS = 3
_SUM = 1e-3
"""How far the outputs of a row may add up to another number than 1 and be probabilities."""
_BETTER_UNSEEN = 0.08
"""Held-out above training score from which something is wrong with the training rows."""
_MEMORISED = 0.1
"""Training above held-out score from which labels may have been learned by heart."""
_TELLS = 0.995
"""Accuracy of one column alone from which it is said to tell the label."""
_LEFT = 0.05
"""And share of what the most frequent class leaves over that it may get wrong: of one row in a hundred, always naming
the other class is .99 right."""
_TELLS_R2 = 0.98
"""R² likewise."""


def rows(subject: Subject, scores: Scores, *, is_normalised: bool) -> DataFacts:
    """What the data show by themselves."""
    spread, size, offset = _scale(subject)
    targets = None if subject.n_classes else subject.train.y.double()
    differs = scores.train - scores.held_out
    ask = scores.is_ill or differs > 0.2
    apart = _apart(subject) if ask or differs > 0.05 or -differs > _BETTER_UNSEEN else math.nan
    ask = ask or apart > APART or differs > _MEMORISED
    table = subject.table if ask else None
    train, unseen = (_Inside(), _Inside()) if table is None else (_inside(*table[:2]), _inside(*table[2:]))
    leak, leak_score = _leak(subject, scores)
    calls = confusion(subject)
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
        confusion=calls,
        precision=math.nan if calls is None else _precision(subject),
        in_train=train.right,
        in_held_out=unseen.right,
        majority_train=subject.train.majority,
        apart=apart,
        copies=_copies(subject),
        leak=leak,
        leak_score=leak_score,
        leak_name=_name_of(subject, leak),
        targets_are_inputs=subject.table is not None and are_inputs(subject.table),
        noise=train.noise,
        noise_held_out=unseen.noise,
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


def confusion(subject: Subject) -> Array | None:
    """Held-out rows of class i that the network calls j [k, k]; None where its output is no score per class."""
    k, out = subject.n_classes, subject.out_held_out
    if not k or not (out.shape[1] == k or (out.shape[1] == 1 and k == 2)) or not bool(torch.isfinite(out).all()):
        return None
    found = np.zeros((k, k), np.int64)
    np.add.at(found, (subject.held_out.y.numpy(), subject.guess(out).numpy()), 1)
    return found


def _precision(subject: Subject) -> float:
    """Average precision of the network's output, averaged over the classes."""
    out = subject.out_held_out.double()
    if out.shape[1] == 1:
        out = torch.cat([-out, out], 1)
    elif not (float(out.min()) >= 0 and float((out.sum(1) - 1).abs().max()) < _SUM):
        out = out.softmax(1)  # scores as they are do not compare between rows
    return average_precision(subject.held_out.y.numpy(), out.numpy()) if len(out) else math.nan


@dataclass(frozen=True, slots=True)
class _Inside:
    """What trees tell within one part, cross-validated: accuracy or R², and the share of labels that look wrong."""

    right: float = math.nan
    noise: float = math.nan


@keep_answers
def _inside(x: Array, y: Array) -> _Inside:
    """Do labels follow from their inputs at all, and how many contradict what the other rows of the part say?

    A wrong label is contradicted as surely as a right one is confirmed: half of the wrong ones by more votes than the
    median of the right ones. Rows that are merely hard are contradicted by few votes. So twice the share of rows that
    are contradicted by more votes than that median estimates the noise (after Northcutt, Jiang & Chuang 2021).
    """
    from sklearn.ensemble import ExtraTreesClassifier, ExtraTreesRegressor
    from sklearn.model_selection import KFold, StratifiedKFold, cross_val_predict

    if y.dtype.kind != "i":
        trees, folds = (
            ExtraTreesRegressor(60, min_samples_leaf=3, random_state=0),
            KFold(_FOLDS, shuffle=True, random_state=0),
        )
        if len(y) < _FEWEST:
            return _Inside()
        found = cross_val_predict(trees, x, y[:, 0] if y.shape[1] == 1 else y, cv=folds)
        return _Inside(pooled_r2(torch.from_numpy(np.asarray(found, np.float64)), torch.from_numpy(y)))
    folds = StratifiedKFold(_FOLDS, shuffle=True, random_state=0)
    _, y, counts = np.unique(y, return_inverse=True, return_counts=True)
    if len(counts) < 2 or counts.min() < _FOLDS:
        return _Inside()
    votes = cross_val_predict(ExtraTreesClassifier(60, random_state=0), x, y, cv=folds, method="predict_proba")
    is_right, most = votes.argmax(1) == y, votes.max(1)
    if not is_right.any():
        return _Inside(0.0)
    return _Inside(float(is_right.mean()), float(2 * (~is_right & (most >= np.median(most[is_right]))).mean()))


def _apart(subject: Subject) -> float:
    """How surely trees tell training from held-out inputs; NaN where there are too few rows, or no table."""
    table = subject.table
    n = 0 if table is None else min(len(table[1]), len(table[3]), _PAIR)
    return math.nan if table is None or n < _FEWEST else _told_apart(_spread(table[0], n), _spread(table[2], n))


@keep_answers
def _told_apart(one: Array, other: Array) -> float:
    """Area under the ROC curve with which trees tell as many rows of two tables apart, cross-validated."""
    from sklearn.ensemble import ExtraTreesClassifier
    from sklearn.metrics import roc_auc_score
    from sklearn.model_selection import StratifiedKFold, cross_val_predict

    x = np.concatenate([one, other])
    part = np.repeat([0, 1], len(one))
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
    table, x = subject.table, subject.train.inputs
    if table is None or x.ndim != 2 or x.shape[1] < 5 or scores.held_out < 0.9:
        return -1, math.nan
    if not subject.n_classes and table[1].shape[1] > 1:  # columns that are targets themselves are no leak
        return -1, math.nan
    needed = max(_TELLS, 1 - _LEFT * (1 - scores.majority)) if subject.n_classes else _TELLS_R2
    return _telling(*table, np.array([subject.n_classes, needed]))


def _name_of(subject: Subject, column: int) -> str:
    """What a column of the table is called; nothing where columns have no names of their own."""
    names = subject.column_names
    return names[column] if 0 <= column < len(names) == subject.train.inputs.shape[1] else ""


@keep_answers
def _telling(x: Array, y: Array, x_held_out: Array, y_held_out: Array, asked: Array) -> tuple[int, float]:
    """The first column from which a small tree tells the held-out label, and how well; -1 where none does.

    `asked` holds how many classes there are, and how well is well enough.
    """
    k, needed = int(asked[0]), float(asked[1])
    for j in range(min(x.shape[1], _COLUMNS)):
        if k and _most(x_held_out[:, j], y_held_out) < needed:
            continue
        from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

        tree = (
            DecisionTreeClassifier(max_leaf_nodes=max(k, 2), random_state=0)
            if k
            else DecisionTreeRegressor(min_samples_leaf=5, random_state=0)
        )
        found = tree.fit(x[:, [j]], y).score(x_held_out[:, [j]], y_held_out)
        if found >= needed:
            return j, float(found)
    return -1, math.nan


def _most(column: Array, y: Array) -> float:
    """The most that anything made of one column can get right: rows of one value get one answer."""
    _, value = np.unique(column, return_inverse=True)
    _, label = np.unique(y, return_inverse=True)
    counts = np.zeros((value.max(initial=0) + 1, label.max(initial=0) + 1), np.int64)
    np.add.at(counts, (value, label), 1)
    return float(counts.max(1).sum() / max(len(y), 1))
