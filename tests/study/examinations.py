"""Examinations made by hand: those of a network that does as well as can be, but for what a test changes."""

import numpy as np

from unbend.study.examine.values import Contract, DataFacts, Examination, Scores, Trial, Weights

NAN = float("nan")
SCORES = {"train": 0.97, "held_out": 0.95, "majority": 0.25, "linear": 0.95, "curved": 0.95, "margin": 0.04}
OUTPUT = {
    "layer": "a", "width": 4, "end": "", "before": "", "before_layer": None, "sums_to_one": False, "is_constant": False,
    "low": -1.0, "high": 1.0, "clipped": 0.0, "outside": 0.0, "is_repeatable": True, "loss_now": NAN,
    "loss_tenfold": NAN, "loss_one_hot": NAN, "loss_sure": NAN, "loss_growth": NAN,
}  # fmt: skip
ROWS = {
    "spread_low": 1.0, "spread_high": 1.0, "spread_median": 1.0, "size": 1.0, "offset": 0.0, "is_normalised": False,
    "y_mean": NAN, "y_spread": NAN, "counts": None, "confusion": None, "in_train": NAN, "in_held_out": NAN,
    "majority_train": 0.25, "apart": NAN, "copies": 0.0, "leak": -1, "leak_score": NAN,
}  # fmt: skip


def examination(*, scores=None, output=None, rows=None, **changes):
    """An examination with these differences."""
    usual = {
        "n_train": 1000, "n_held_out": 1000, "is_declared": True, "weights": (), "passages": (), "trials": (),
        "is_affine": False, "flat_activations": 0, "fresh_reach": NAN, "dropout": 0.0, "dropout_layer": None,
        "on_batch_statistics": NAN, "norm_layer": None,
    }  # fmt: skip
    return Examination(
        scores=Scores(**SCORES | (scores or {})), output=Contract(**OUTPUT | (output or {})),
        rows=DataFacts(**ROWS | (rows or {})), **usual | changes,
    )  # fmt: skip


def weights(layer, size=1.0, **changes):
    """Weights of one layer that have been trained, of that size against a fresh draw."""
    usual = {
        "n": 400, "identical": 0, "n_units": 20, "top": 3.0, "p_drawn": 0.0, "pull": 0.5, "is_finite": True,
        "lacks_bias": False, "rms_in": 1.0, "rms_out": 1.0,
    }  # fmt: skip
    return Weights(layer=layer, size=size, **usual | changes)


def trials(**held_out):
    """Short trials with these held-out scores, and as good in training."""
    return tuple(Trial(name=name, n_steps=300, train=score, held_out=score) for name, score in held_out.items())


def confusion(*recall, n=100):
    """As many rows of each class, so many of them right; the others are called the next class that is ever called."""
    k = len(recall)
    found = np.zeros((k, k), np.int64)
    for i, right in enumerate(recall):
        found[i, i] = round(right * n)
        found[i, next(j % k for j in range(i + 1, i + k + 1) if recall[j % k])] += n - round(right * n)
    return found
