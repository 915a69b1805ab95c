"""A network and its data from the words that name them, and from the words a study kept.

In: words. Out: a `Job`. Must not know the command line that the words may come from.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from unbend import load, zoo
from unbend.study.progress import Progress


@dataclass(frozen=True, slots=True, eq=False)
class StudyJob:
    """A network and data, and the words that make them again.

    Attributes:
        model: the network.
        data: its data.
        name: what a page calls the network.
        recipe: the words, to be kept with a study.
    """

    model: nn.Module
    data: Any
    name: str
    recipe: dict[str, str]


def job(model: str, data: str, *, label: str | None, weights: Path | None) -> StudyJob:
    """The network and the data that the words name.

    Args:
        model: as `unbend.load.model` takes it.
        data: as `unbend.load.data` takes it.
        label: column of a table that holds the labels.
        weights: state dict for a factory.
    """
    words = {"model": model, "data": data, "label": label, "weights": None if weights is None else str(weights)}
    recipe = {key: value for key, value in words.items() if value is not None}
    return StudyJob(load.model(model, weights=weights), load.data(data, label=label), model, recipe)


def demo(seed: int, progress: Progress) -> StudyJob:
    """A small net trained on handwritten digits just now."""
    model, digits = zoo.digits(seed=seed, progress=lambda done, total: progress("Training a small net", done, total))
    test = load.Data(digits.x_test, digits.y_test, None, digits.class_names, "digits")
    data = load.Data(digits.x_train, digits.y_train, test, digits.class_names, "handwritten digits", digits.source)
    return StudyJob(model, data, "64-128-64-32-10 ReLU net, trained just now", {"demo": str(seed)})
