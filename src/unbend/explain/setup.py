"""A model on data, ready to be worked on: where its layers are, and some rows of both parts.

In: a model and a data set in any form that `unbend.study` takes. Out: a `Setup`.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import Any, Unpack

from torch import Tensor, nn

from unbend._typing import Array, Int64
from unbend.capture import Tap, bare, quiet
from unbend.errors import DataError
from unbend.explain.groups import groups_of, label_at, label_word
from unbend.explain.scores import check_scores
from unbend.numerics.streaming.choose import Selection
from unbend.study.defaults import fresh_defaults
from unbend.study.examine.subject import Subject
from unbend.study.fold import fold
from unbend.study.given import network_of
from unbend.study.outputs import part_of_output
from unbend.study.prepare import TASKS, Preparation, prepare, source_of
from unbend.study.settings import ReadAs, Settings
from unbend.study.source import Minibatch
from unbend.study.values import States

ROWS = 10_000
"""Rows of each part that are worked on at most."""


@dataclass(frozen=True, slots=True, eq=False)
class Setup:
    """A model on data.

    Attributes:
        model: the bare module.
        work: what was decided about it: its layers, its classes.
        subject: the model with rows of both parts.
        how: what was chosen.
    """

    model: nn.Module
    work: Preparation
    subject: Subject
    how: Settings

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the classes, numbers where they have none; none where rows have no classes."""
        if not self.work.n_classes:
            return ()
        return self.work.names or tuple(str(i) for i in range(self.work.n_classes))

    @property
    def output_names(self) -> tuple[str, ...]:
        """What the scores of the output are of: the classes, of one score for two classes the second; the labels."""
        names = self.class_names or tuple(map(label_word, self.label_names))
        width = self.subject.out.shape[-1]
        if width == 1 and len(names) == 2:
            return names[1:]
        return names if len(names) == width else tuple(f"output {i}" for i in range(width))

    @property
    def label_names(self) -> tuple[str, ...]:
        """Names of several yes/no labels; none where rows have none."""
        return self.work.names if self.work.task == "yes/no" else ()

    def groups(self, y: Tensor, by: str | None = None) -> tuple[Int64[Array, "n"], tuple[str, ...]]:
        """By what rows are told apart in pictures, and what the groups are called.

        Args:
            y: labels as `Subject` has them: classes [n], or numbers [n, t].
            by: which of several yes/no labels; None for the first.
        """
        return groups_of(y.numpy(), self.class_names, self.label_names, by=label_at(by, self.label_names))

    def check_scores(self) -> None:
        """Refuse a model that puts out no score for each class.

        Raises:
            ModelError: in a sentence.
        """
        check_scores(self.subject.run(self.model, self.subject.train.rows(0, 2)[0]), self.work.n_classes)

    def reading(self, net: nn.Module) -> AbstractContextManager[None]:
        """Within it a copy without the model's hooks puts out the part that is studied."""
        return part_of_output(net, self.how.output)

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


@contextmanager
def setup(
    model: nn.Module,
    data: Any,
    *,
    held_out: Any = None,
    layers: Sequence[str] | None = None,
    loss: Any = None,
    rows: int = ROWS,
    batch_size: int = 256,
    needs_classes: bool = True,
    **read_as: Unpack[ReadAs],
) -> Iterator[Setup]:
    """A model on data; within the block it is quiet, and behind it as it was, as the caller's defaults are.

    Args:
        model: any module.
        data: as `unbend.study` takes it.
        held_out: the held-out part; left out, a fifth of the rows by hash.
        layers: paths or globs of the layers looked at; None for a sensible choice.
        loss: a loss (output, y), or its name.
        rows: rows of each part at most.
        batch_size: rows per forward pass.
        needs_classes: whether rows must have one class each.
        read_as: how items and layers are read.

    Raises:
        DataError: the labels are no classes, where these are needed, or stand at positions.
        ModelError: no module that can be looked into.
    """
    how = Settings(layers=layers, loss=loss, batch_size=batch_size, **read_as)
    how.check()
    module = bare(network_of(model))
    with fresh_defaults(), part_of_output(module, how.output), quiet(module):
        work = prepare(module, source_of(module, data, held_out, how), how)
        _check_labels(work, needs_classes=needs_classes)
        subject = Subject(
            module, work.rows, work.fit, n_classes=work.n_classes, loss=loss, protect=work.plan.protect, most=rows,
            in_rows=True,
        )  # fmt: skip
        yield Setup(module, work, subject, how)


def _check_labels(work: Preparation, *, needs_classes: bool) -> None:
    """Refuse labels that nothing here is made for."""
    if work.positions is not None:
        raise DataError(
            "y: expected one label for each row, got labels at positions. `unbend.study` (unbend report) reads these."
        )
    if needs_classes and not work.n_classes:
        what = {"regression": "numbers to predict", "yes/no labels": "several yes/no labels a row"}
        raise DataError(
            f"y: expected one class for each row, got {what.get(TASKS[work.task], 'none')}. Pass a class each, or ask "
            "what needs none: units, maximise, saliency, shape, maps and flow."
        )
