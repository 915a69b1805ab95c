"""Rules about classes in the course of a run."""

from collections.abc import Iterator

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from unbend._shares import percent
from unbend._typing import Array
from unbend.study.history.evidence import Occurrence, lasting, since
from unbend.study.history.values import RunHistory
from unbend.study.values import Finding

_RARE = 0.1
_STEADY, _EVEN = 1.5, 1.1
"""Times its least that the share of a rare class, and of the most frequent one, has at most over a few snapshots."""
_READ = 0.5
"""Recall above which a class is recognised."""
_UNREAD = 0.1
_WELL = 0.5
"""Share of the way from the most frequent class to all samples that a network goes which does well."""
_RISING = 0.1
"""By how much a network that still learns may name more samples than before, for all that is known of few samples."""
_SWINGS = 0.3
"""Deviation of accuracies of batches that hold one class at a time."""
_RISE = 0.02
_ABOVE = 0.15
"""What a read-out knows beyond the most frequent class before it is said where that stops rising."""
_READS_BETTER = 0.05
"""By how much a read-out of the best layer does better than a network that has learnt what its layers know."""
_KNOWN = 5


def class_imbalance(history: RunHistory) -> Iterator[Occurrence]:
    """A class that is far rarer than another (SageMaker's `class_imbalance`).

    Classes that come one after another are not rare: of one that has just begun there is more at every snapshot.
    """
    balance = history.value("balance")
    if len(balance) < _KNOWN:
        return
    last = sliding_window_view(balance, _KNOWN)
    most = sliding_window_view(history.value("majority"), _KNOWN)
    is_steady = (last.max(1) <= _STEADY * last.min(1)) & (most.max(1) <= _EVEN * most.min(1))
    at = since((last < _RARE).all(1) & is_steady)
    if at is None:
        return
    recall = history.value("recall")
    recall = recall[np.isfinite(recall)][-_KNOWN:]
    is_read = len(recall) > 0 and recall.min() > _READ
    yield Occurrence(int(history.steps[at]), Finding(
        "class_imbalance", "note" if is_read else "warning", None,
        f"The rarest class has {percent(balance[at])} of the rows of the most frequent one.",
        f"The most frequent has {percent(history.value('majority')[at])} of the labels seen."
        + (" The network recognises every class all the same." if is_read else ""),
        "A network may do well by the loss and never name the rare class.",
        "Judge by the recall of each class." if is_read else
        "Weigh the classes in the loss or draw them evenly; judge by the recall of each class.",
        "Rare classes that are meant to be rare, with a loss that knows it.",
    ))  # fmt: skip


def unread_class(history: RunHistory) -> Iterator[Occurrence]:
    """A class that the network does not name although it does well (SageMaker's `confusion`).

    Classes are learnt one after another: it is said once the network has stopped getting better at the others.
    """
    recall, accuracy, majority = (history.value(what) for what in ("recall", "accuracy", "majority"))
    n = 2 * _KNOWN
    if len(recall) < 2 * n:
        return
    half = max(n, len(recall) // 3)
    before, now = accuracy[-2 * half : -half], accuracy[-half:]
    unsure = 2 * np.sqrt((before.var() + now.var()) / half)
    if now.mean() - before.mean() + unsure > _RISING or now.std() > _SWINGS:
        return
    mean = np.array([accuracy[max(i - n + 1, 0) : i + 1].mean() for i in range(len(accuracy))])
    is_well = mean > majority + _WELL * (1 - majority)
    at = lasting((recall < _UNREAD) & is_well, n)
    if at is None:
        return
    weakest = history.value("weakest")[at:]
    codes = set(weakest[np.isfinite(weakest)].tolist())
    name = f"Class {codes.pop():.0f}" if len(codes) == 1 else "One class"
    yield Occurrence(int(history.steps[at]), Finding(
        "unread_class", "warning", None,
        f"{name} is hardly ever recognised, although {percent(mean[-1])} of the samples are.",
        f"Its recall over the last snapshots is {percent(recall[-1])}; classes are counted from 0.",
        "Its rows are taken for those of another class.",
        "Look at the labels of that class and at its weight in the loss; the confusion matrix of a study shows what it "
        "is taken for.",
        "A class that is rare, or one that looks like another to every reader.",
    ))  # fmt: skip


def _known_mean(values: Array) -> Array:
    """Means of rows over what is known of them; -1 where nothing is."""
    n = np.isfinite(values).sum(1)
    return np.where(n > 0, np.nansum(values, 1) / np.maximum(n, 1), -1.0)


def separability_stops(history: RunHistory) -> Iterator[Occurrence]:
    """The layer from which on classes get no further apart."""
    layers = [x for x in history.about.layers if np.isfinite(history.layer(x.name, "readout")[-_KNOWN:]).any()]
    if len(history.snapshots) < 2 * _KNOWN or len(layers) < 3:
        return
    accuracy = _known_mean(history.value("accuracy")[None, -_KNOWN:])[0]
    read = np.stack([history.layer(layer.name, "readout") for layer in layers])
    then, last = (_known_mean(part) for part in (read[:, -2 * _KNOWN : -_KNOWN], read[:, -_KNOWN:]))
    chance = history.value("majority")[-1]
    stop = int(np.argmax(last >= last.max() - _RISE))
    was_there = then[stop] >= then.max() - _RISE and last.max() - then.max() < _RISE
    names_as_well = last.max() - _READS_BETTER <= accuracy <= last[stop] + _RISE
    if stop < len(layers) - 2 and was_there and names_as_well and min(last[-1], accuracy) > chance + _ABOVE:
        yield Occurrence(int(history.steps[-1]), Finding(
            "separability_stops", "note", layers[stop].name,
            f"Separability has stopped rising at layer {layers[stop].name}.",
            f"A linear read-out of it finds {percent(last[stop])} of held-out samples, of the last layer "
            f"{percent(last[-1])}; the network itself names {percent(accuracy)}.",
            "The layers behind it add nothing that a read-out of the samples looked at could show.",
            "Try a network without them.",
        ))  # fmt: skip
