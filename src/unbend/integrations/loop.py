"""`unbend.watch`: a training loop of your own; and its settings, as the callbacks of trainers take them."""

import os
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Any, TypedDict

from torch import nn

from unbend.errors import DataError
from unbend.record.history import HistoryFile
from unbend.study.watch import Sink, Watch, WatchSettings, check_sinks
from unbend.study.watch.settings import LabelFunction


class WatchKeywords(TypedDict, total=False):
    """The keyword arguments of `watch`, which tells what each means."""

    every: int | None
    budget: float | str | None
    layers: Sequence[str] | None
    labels: str | LabelFunction
    example: Any
    check: bool
    stop: bool
    file: str | os.PathLike[str] | None
    sinks: Sequence[Sink]
    name: str
    ranks: bool


def watch(  # noqa: PLR0913  every setting by name, so that an editor completes it
    model: nn.Module,
    *,
    every: int | None = None,
    budget: float | str | None = "2%",
    layers: Sequence[str] | None = None,
    labels: str | LabelFunction = "labels",
    example: Any = None,
    check: bool = True,
    stop: bool = False,
    file: str | os.PathLike[str] | None = None,
    sinks: Sequence[Sink] = (),
    name: str = "",
    ranks: bool = True,
) -> Watch:
    """A watch on a training run, to be used as a `with` block around the loop.

    Inside the block every step of the optimiser is counted, and some are measured: what each layer does, how far apart
    it puts the classes, its gradient before clipping and unscaled, how far the step moves its weights. The run ends
    with the weights it would have ended with, to the last bit.

    Args:
        model: the module that the loop calls: as it is, compiled or in a parallel wrapper. A compiled one must not have
            run yet.
        every: steps between snapshots; None for as often as the budget allows.
        budget: share of the run's time that watching may cost, such as "2%"; None for no limit. With `every` given, it
            bounds only what is asked about rows (separation, read-out, rank).
        layers: paths or globs; None for a sensible choice.
        labels: the keyword of forward that holds the labels, or a function of forward's arguments by position and by
            keyword; or call `watch.label(y)` in the loop.
        example: inputs by which layers are chosen at once; None to take those of the first forward pass.
        check: look in every step for values that are not finite, so that the first step and layer are known.
        stop: raise an error when there is one.
        file: where the history is kept, snapshot by snapshot; a run that was interrupted is continued in it.
        sinks: what else is told, from `unbend.integrations`.
        name: what the model is called.
        ranks: in a process group, whether its ranks are added up; each of them must then be watched.

    Raises:
        DataError: a setting out of its range, or sinks that are none.
        RecordError: the file cannot be written.

    Cost:
        At most `budget`, where `every` is left out; with `every=1` a tenth of a small network's step: `docs/watch.md`.

    Example:
        >>> import torch
        >>> net = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 2))
        >>> optimiser = torch.optim.SGD(net.parameters(), 0.1)
        >>> x, y = torch.randn(32, 4), torch.arange(32) % 2
        >>> with watch(net, every=1) as watching:
        ...     for _ in range(3):
        ...         optimiser.zero_grad()
        ...         loss = torch.nn.functional.cross_entropy(net(x), y)
        ...         loss.backward()
        ...         watching.label(y)
        ...         watching.log(loss=loss)
        ...         optimiser.step()
        >>> watching.history.steps.tolist(), watching.history.layer("1", "zeros").shape
        ([1, 2, 3], (3,))
    """
    how = WatchSettings(
        every=every, budget=budget, layers=layers, labels=labels, example=example, check=check, stop=stop, name=name,
        ranks=ranks,
    )  # fmt: skip
    others = check_sinks(sinks)
    kept = () if file is None else (HistoryFile(file),)
    watching = Watch(model, how, (*kept, *others))
    for one in kept:
        watching.continue_from(one.past)
    return watching


def check_keywords(how: Mapping[str, Any]) -> None:
    """Refuse what `watch` would refuse, when a callback is made and not when its training begins.

    Raises:
        DataError: no setting is called so, or one is out of its range, or sinks are none.
    """
    known = WatchKeywords.__annotations__
    for name in how:
        if name not in known:
            near = get_close_matches(name, known, n=1)
            hint = f"Did you mean {near[0]!r}?" if near else f"There are: {', '.join(known)}."
            raise DataError(f"watch_callback: expected settings of unbend.watch, got {name!r}. {hint}")
    check_sinks(how.get("sinks", ()))
    WatchSettings(**{name: value for name, value in how.items() if name not in ("file", "sinks")}).check_values()
