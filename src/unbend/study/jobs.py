"""A network and its data from the words that name them, and from the words a study kept.

In: words. Out: a `Job`. Must not know the command line that the words may come from.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from torch import nn

from unbend import load, zoo
from unbend.errors import LoadError
from unbend.load.data import is_table
from unbend.study.items import Choice, choice
from unbend.study.opening import Opening, opening
from unbend.study.progress import Progress

NO_DATA = "a data set is needed beside the model, such as digits, data.npz or file.py:name."
"""What is said of a model that stands alone."""


@dataclass(frozen=True, slots=True, eq=False)
class StudyJob:
    """A network and data, and the words that make them again.

    Attributes:
        model: the network.
        data: its data.
        name: what a page calls the network.
        recipe: the words, to be kept with a study.
        groups: the part of an item that names its group; None where there is none, or the data hold the groups.
    """

    model: nn.Module
    data: Any
    name: str
    recipe: dict[str, str]
    groups: Choice | None = None


def job(model: str, data: str, *, label: str | None, weights: Path | None, group: str | None = None) -> StudyJob:
    """The network and the data that the words name.

    Args:
        model: as `unbend.load.model` takes it.
        data: as `unbend.load.data` takes it.
        label: column of a table that holds the labels.
        weights: state dict for a factory.
        group: column of a table, or part of an item, that names the group of a row.
    """
    column = group if is_table(data) else None
    words = {"model": model, "data": data, "label": label, "weights": None if weights is None else str(weights),
             "group": column}  # fmt: skip
    recipe = {key: value for key, value in words.items() if value is not None}
    found = load.data(data, label=label, group=column)
    return StudyJob(load.model(model, weights=weights), found, model, recipe, None if column else choice(group))


def work_of(
    model: str | None, data: str | None, *, label: str | None, weights: Path | None, seed: int, progress: Progress,
    group: str | None = None,
) -> StudyJob:  # fmt: skip
    """The network and the data that the words name; the demo without words.

    Raises:
        LoadError: a model without data.
    """
    if model is None:
        return demo(seed, progress)
    if data is None:
        raise LoadError(f"data: {NO_DATA}")
    return job(model, data, label=label, weights=weights, group=group)


def demo(seed: int, progress: Progress) -> StudyJob:
    """A small net trained on handwritten digits just now."""
    work = _demo(zoo.digits, "64-128-64-32-10", "handwritten digits", seed, progress)
    return replace(work, recipe={"demo": str(seed)})


def opening_demo() -> Opening:
    """What the demo begins with: a net trained on two half moons just now, before and after its hidden layers."""
    model, found = zoo.moons_in_two()
    return opening(model, found, network="2-16-2-2 tanh net", name="two moons")


def regions_demo(progress: Progress) -> StudyJob:
    """A small net of two inputs trained on two half moons just now."""
    return _demo(zoo.two_moons, "2-16-16-2", "two moons", 0, progress)


def _demo(
    trained: Callable[..., tuple[nn.Module, zoo.DataSet]], widths: str, name: str, seed: int, progress: Progress
) -> StudyJob:
    model, found = trained(seed=seed, progress=lambda done, total: progress("Training a small net", done, total))
    test = load.Data(found.x_test, found.y_test, None, found.class_names, found.name)
    data = load.Data(found.x_train, found.y_train, test, found.class_names, name, found.source)
    return StudyJob(model, data, f"{widths} ReLU net, trained just now", {})
