"""A model on data, ready to be worked on: where its layers are, and some rows of both parts.

In: a model and a data set in any form that `unbend.study` takes. Out: a `Setup`.
"""

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, replace
from typing import Any

from torch import nn

from unbend.capture import Tap, bare, quiet
from unbend.errors import DataError
from unbend.numerics.streaming.choose import Selection
from unbend.study.examine.subject import Subject
from unbend.study.fold import States, fold
from unbend.study.given import network_of
from unbend.study.items import Items, arguments
from unbend.study.prepare import Preparation, prepare
from unbend.study.proofs import BUDGET
from unbend.study.settings import Settings
from unbend.study.source import HELD_OUT, Holding, Minibatch, source

ROWS = 10_000
"""Rows of each part that are worked on at most."""


@dataclass(frozen=True, slots=True, eq=False)
class Setup:
    """A model on data.

    Attributes:
        model: the bare module.
        work: what was decided about it: its layers, its classes.
        subject: the model with rows of both parts.
    """

    model: nn.Module
    work: Preparation
    subject: Subject

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the classes, numbers where they have none."""
        return self.work.names or tuple(str(i) for i in range(self.work.n_classes))

    def states(
        self,
        taps: Sequence[Tap],
        batches: Iterable[Minibatch],
        kinds: Sequence[type[Any]],
        *,
        selection: Selection | None = None,
        tick: Callable[[int], None] = lambda _n: None,
        with_input: bool = False,
        hooks: Iterable[AbstractContextManager[None]] = (),
    ) -> States:
        """The States of some layers over some rows.

        Args:
            taps: the layers.
            batches: the rows.
            kinds: the kinds of States.
            selection: which rows each of them takes.
            tick: called with the rows of each batch.
            with_input: whether the input is summed too.
            hooks: more that stands on the model during the pass.
        """
        work = self.work
        with quiet(self.model), ExitStack() as stack:
            for one in hooks:
                stack.enter_context(one)
            return fold(
                self.model, replace(work.plan, taps=tuple(taps)), batches, kinds, n_classes=work.n_classes,
                fit=work.fit, selection=selection, tick=tick, with_input=with_input,
            )  # fmt: skip


def setup(
    model: nn.Module,
    data: Any,
    *,
    held_out: Any = None,
    layers: Sequence[str] | None = None,
    loss: Any = None,
    rows: int = ROWS,
    batch_size: int = 256,
) -> Setup:
    """A model on data, its labels read as classes.

    Args:
        model: any module.
        data: as `unbend.study` takes it.
        held_out: the held-out part; left out, a fifth of the rows by hash.
        layers: paths or globs of the layers looked at; None for a sensible choice.
        loss: a loss (output, y), or its name.
        rows: rows of each part at most.
        batch_size: rows per forward pass.

    Raises:
        DataError: the labels are no classes.
        ModelError: no module that can be looked into.
    """
    how = Settings(
        layers=layers, reduce=None, axis=None, measures=(), twin=False, untrained=None, loss=loss, exact=False,
        rows=None, share=HELD_OUT, groups=None, stratify=False, inputs=None, target=None, output=None,
        batch_size=batch_size, n_classes=None, seed=0, proofs=False, budget=BUDGET, probes=False, ranks=False,
        trials=False,
    )  # fmt: skip
    module = bare(network_of(model))
    given = source(data, held_out=held_out, batch_size=batch_size, holding=Holding(), items=Items(arguments(module)))
    work = prepare(module, given, how)
    if not work.n_classes or work.positions is not None:
        raise DataError(
            "y: expected one class for each row, got targets, several labels a row, or none. Pass a class each."
        )
    subject = Subject(
        module, work.rows, work.fit, n_classes=work.n_classes, loss=loss, protect=work.plan.protect, most=rows
    )
    return Setup(module, work, subject)
