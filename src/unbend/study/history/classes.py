"""Rules about classes in the course of a run."""

from collections.abc import Iterator

import numpy as np

from unbend._shares import percent
from unbend._typing import Array
from unbend.study.history.evidence import Occurrence, since
from unbend.study.history.values import RunHistory
from unbend.study.values import Finding

_RARE = 0.1
_UNREAD = 0.1
_RISE = 0.02
_ABOVE = 0.15
"""What a read-out knows beyond the most frequent class before it is said where that stops rising."""
_KNOWN = 5


def class_imbalance(history: RunHistory) -> Iterator[Occurrence]:
    """A class that is far rarer than another (SageMaker's `class_imbalance`)."""
    balance = history.value("balance")
    at = since(balance < _RARE, _KNOWN)
    if at is not None:
        yield Occurrence(int(history.steps[at]), Finding(
            "class_imbalance", "warning", None,
            f"The rarest class has {percent(balance[at])} of the rows of the most frequent one.",
            f"The most frequent has {percent(history.value('majority')[at])} of the labels seen.",
            "A network may do well by the loss and never name the rare class.",
            "Weigh the classes in the loss or draw them evenly; judge by the recall of each class.",
            "Rare classes that are meant to be rare, with a loss that knows it.",
        ))  # fmt: skip


def unread_class(history: RunHistory) -> Iterator[Occurrence]:
    """A class that the network does not name although it does well (SageMaker's `confusion`)."""
    recall, accuracy = history.value("recall"), history.value("accuracy")
    late = np.arange(len(recall)) >= 2 * _KNOWN
    at = since((recall < _UNREAD) & (accuracy > history.value("majority") + _UNREAD) & late, _KNOWN)
    if at is not None:
        yield Occurrence(int(history.steps[at]), Finding(
            "unread_class", "warning", None,
            f"One class is hardly ever recognised, although {percent(accuracy[at])} of the samples are.",
            f"Least recall of a class over the last snapshots: {percent(recall[at])}.",
            "Its rows are taken for those of another class.",
            "Look at the confusion matrix of a study; look at the labels of that class.",
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
    read = np.stack([history.layer(layer.name, "readout") for layer in layers])
    then, last = (_known_mean(part) for part in (read[:, -2 * _KNOWN : -_KNOWN], read[:, -_KNOWN:]))
    chance = history.value("majority")[-1]
    stop = int(np.argmax(last >= last.max() - _RISE))
    was_there = then[stop] >= then.max() - _RISE and last.max() - then.max() < _RISE
    if stop < len(layers) - 2 and was_there and last[-1] > chance + _ABOVE:
        yield Occurrence(int(history.steps[-1]), Finding(
            "separability_stops", "note", layers[stop].name,
            f"Separability has stopped rising at layer {layers[stop].name}.",
            f"A linear read-out of it finds {percent(last[stop])} of held-out samples, of the last layer "
            f"{percent(last[-1])}.",
            "The layers behind it add nothing that a read-out of 256 samples could show.",
            "Try a network without them.",
        ))  # fmt: skip
