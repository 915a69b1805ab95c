"""Takes notes while a model runs: of every torch function, and of every module that ends.

In: steps and outputs, in order. Out: drafts of sites, to be finished when all claims are made.
"""

import math
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import reduce as fold
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence

from unbend.capture.flow.activations import Effect, effect_of, is_elementwise
from unbend.capture.flow.axes import Axis, Layout, axis, fresh, join, unseen
from unbend.capture.flow.curves import ElementwiseCurve
from unbend.capture.flow.layout import layout_of
from unbend.capture.flow.masks import MaskCandidate, hear_attention, hear_lengths
from unbend.capture.flow.moves import join_written
from unbend.capture.flow.notes import Note, Notebook, Operation
from unbend.capture.flow.operations import (
    COMPARING,
    DROPOUTS,
    JOINS,
    KEEPING,
    MOVES,
    REDUCTIONS,
    RESHAPES,
    SCALES,
    STATISTICS,
    is_valueless,
    name_of,
)  # fmt: skip
from unbend.capture.flow.result import OPAQUE
from unbend.capture.flow.steps import Operand, TorchCall, step_of
from unbend.capture.inputs import packed_in, tensors_in
from unbend.capture.kinds import FUNCTIONS, Kind
from unbend.capture.outputs import tensor_of, version_of

_LONGEST = 64
"""Operations remembered between two sites."""
_NOTHING: frozenset[str] = frozenset()


@dataclass(slots=True, eq=False)
class Draft:
    """A site, as it was when it ran.

    Attributes:
        name: of the site.
        place: as in `Site`.
        kind: what its module is; "function" for an activation inside a module.
        feeds: names of the sites that feed it, drafts among them that may not be kept.
        alias: the site whose values these are.
        layout: its axes, whose roles are still being claimed.
        shape: lengths of the axes.
        operations: between its feeds and it.
        activations: names of functions that bent its values since its feeds.
        curve: what it is as a function of one tensor.
        is_kept: whether it is a site: for an activation, whether anything but another activation read it.
    """

    name: str
    place: tuple[str, str, int]
    kind: Kind
    feeds: frozenset[str]
    alias: str | None
    layout: Layout
    shape: tuple[int, ...]
    operations: tuple[Operation, ...]
    activations: tuple[str, ...] = ()
    curve: ElementwiseCurve | None = None
    is_kept: bool = True


class Record:
    """The notes of one forward pass.

    Attributes:
        drafts: of sites by name, in order.
        unknown: names of operations that no layout rule knew.
    """

    def __init__(
        self, kinds: Mapping[str, Kind], weights: Collection[int], candidates: Collection[MaskCandidate], n: int
    ) -> None:
        self._n = n
        self._kinds, self._weights, self._candidates = kinds, weights, list(candidates)
        self._masks = frozenset(one.name for one in candidates if one.is_named)
        self.notes: Notebook = Notebook()
        self.drafts: dict[str, Draft] = {}
        self.unknown: dict[str, None] = {}
        self._running: list[str] = []
        self._calls: dict[tuple[str, str], int] = {}
        self._taken_out: frozenset[str] = _NOTHING

    def before(self, func: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> TorchCall:
        """What is known of a call before it is made."""
        name = name_of(func)
        number = self._calls[self._path, name] = self._calls.get((self._path, name), -1) + 1
        return step_of(func, args, kwargs, self.notes, self._weights, self._n, number)

    def after(self, step: TorchCall, result: Any) -> None:
        """Take notes of what a call put out and of what it wrote to."""
        made = [t for t in (result if isinstance(result, (tuple, list)) else [result]) if isinstance(t, Tensor)]
        written = [one for one in step.operands.values() if version_of(one.tensor) != one.version]
        if step.name in {"numpy", "__array__"}:
            self._taken_out |= _union(one.note.feeds for one in step.operands.values() if one.note is not None)
        if not made and not written:
            return
        self._hear_attention(step)
        changed = {id(one.tensor) for one in written}
        new = [(i, t) for i, t in enumerate(made) if id(t) not in step.operands or id(t) in changed]
        new = [(i, t) for i, t in new if t.layout == torch.strided and not t.is_nested]
        self._read(step, [t for _, t in new])
        for index, tensor in new:
            self._note(step, tensor, index)
        for one in written:
            self._note_written(step, one, is_put_out=any(one.tensor is t for _, t in new))

    def _hear_attention(self, step: TorchCall) -> None:
        one = hear_attention(step, self._candidates)
        if one is not None and step.name == "scaled_dot_product_attention":
            join(step.layout(step.arg(1, "key")).axes[-2], one.tokens)

    def _read(self, step: TorchCall, made: list[Tensor]) -> None:
        """Keep the activations that this step reads, unless it only carries on with their values."""
        if made and not _carries_on(step, made[0]):
            pending = _union(one.note.pending for one in step.operands.values() if one.note is not None)
            self._keep(name for name in pending if not _is_statistic(step, self.drafts[name]))

    def _keep(self, names: Iterable[str]) -> None:
        for name in names:
            self.drafts[name].is_kept = True

    def _note(self, step: TorchCall, tensor: Tensor, index: int) -> None:
        """Write down what is known of a tensor that was put out."""
        layout, is_known = layout_of(step, tensor, index)
        if not is_known and tensor.is_floating_point() and any(one.is_data for one in step.operands.values()):
            self.unknown[step.name] = None
        hear_lengths(step, layout, self._candidates)
        if is_valueless(step.name):
            self.notes.put(tensor, Note(layout=layout))
            return
        sources = self._sources(step, index)
        noted = [one.note for one in sources if one.note is not None]
        effect = effect_of(step, tensor, self._masks)
        carries_values = _carries_values(tensor, sources, self._masks)
        feeds = _union(note.feeds for note in noted) | self._from_nowhere(sources)
        pending = self._pending(sources, tensor) if _carries_on(step, tensor) else _NOTHING
        operations = self._operations(step, noted)
        note = Note(
            feeds if carries_values else _NOTHING, layout, _same(step, tensor), operations, effect.curve,
            pending if carries_values else _NOTHING, effect.gates or _moved_gates(step),
        )  # fmt: skip
        self.notes.put(tensor, note)
        self._bend(step, tensor, note, effect)

    def _pending(self, sources: Iterable[Operand], tensor: Tensor) -> frozenset[str]:
        """The activations that go on unread; not those of a norm's scale, which is smaller than what it scales."""
        return frozenset(
            name
            for one in sources
            if one.note is not None
            for name in one.note.pending
            if math.prod(one.shape) == tensor.numel() or self.drafts[name].activations[-1] not in SCALES
        )

    def _note_written(self, step: TorchCall, one: Operand, *, is_put_out: bool) -> None:
        """Write down that an argument was written to, for whatever shares its memory."""
        sources = self._sources(step, 0)
        values = [source.note.feeds for source in sources if source.note is not None]
        feeds = _union(values) | self._from_nowhere(sources)
        if step.name == "__setitem__":
            join_written(step)
        if not is_put_out:
            note = one.note or Note(layout=one.layout)
            pending = _union(source.note.pending for source in sources if source.note is not None)
            effect = effect_of(step, one.tensor, self._masks) if step.name == "__setitem__" else Effect()
            operations = self._operations(step, [s.note for s in sources if s.note is not None])
            fresh_note = Note(feeds, note.layout, None, operations, effect.curve, pending, effect.gates)
            self.notes.put(one.tensor, fresh_note)
            self._bend(step, one.tensor, fresh_note, effect)
        self.notes.write(one.tensor, feeds, is_whole=step.name not in {"__setitem__", "index_put"})

    def _sources(self, step: TorchCall, index: int) -> list[Operand]:
        """The arguments that the values of one tensor come from."""
        sources = list(step.sources())
        if step.name in {"broadcast_tensors", "meshgrid"} and index < len(sources):
            return [sources[index]]
        return sources

    def _from_nowhere(self, sources: Iterable[Operand]) -> frozenset[str]:
        """What feeds values that were made where torch does not look: what was handed to NumPy, and who knows."""
        lost = any(
            one.note is None and id(one.tensor) not in self._weights and one.tensor.is_floating_point()
            for one in sources
        )
        return self._taken_out | {OPAQUE} if lost else _NOTHING

    def _operations(self, step: TorchCall, noted: Iterable[Note]) -> tuple[Operation, ...]:
        values = [note for note in noted if note.feeds - self._masks]
        done = dict.fromkeys(operation for note in values for operation in note.operations)
        if values and step.name not in MOVES | RESHAPES | KEEPING:
            done[Operation(self._path, step.name)] = None
        return tuple(done)[-_LONGEST:]

    @property
    def _path(self) -> str:
        """Of the module whose forward is running."""
        return self._running[-1] if self._running else ""

    def _bend(self, step: TorchCall, tensor: Tensor, note: Note, effect: Effect) -> None:
        """Draft a site for an activation, which is kept once something reads it."""
        if step.name in COMPARING or not (effect.is_bent or step.name in FUNCTIONS):
            return
        is_one = effect.curve is not None or step.name not in {"mul", "div", "multiply", "divide", "true_divide"}
        if not (note.feeds and is_one and tensor.is_floating_point()):
            return
        path, call = self._path, step.number
        name = name_of_call(f"{path}:{step.name}" if path else step.name, call)
        if name in self.drafts:
            return
        functions = (step.name,) if effect.curve is None else effect.curve.functions
        is_kept = step.name in FUNCTIONS and self._kinds.get(path) != "activation"
        self.drafts[name] = Draft(
            name, (path, step.name, call), "function", note.feeds, None, note.layout, tuple(tensor.shape),
            note.operations, functions, effect.curve, is_kept,
        )  # fmt: skip
        self.notes.put(tensor, Note(frozenset({name}), note.layout, name, (), note.curve, frozenset({name})))

    def begin(self, path: str) -> None:
        """A module's forward starts."""
        self._running.append(path)

    def end(self, path: str, inputs: Any, output: Any) -> None:
        """A module's forward has put something out; None if it raised."""
        while self._running and self._running.pop() != path:
            pass
        if output is None:
            return
        call = self._calls[path, ""] = self._calls.get((path, ""), -1) + 1
        packed = {id(one.data): one for one in packed_in(output)}
        for i, tensor in enumerate(_readable(output)):
            self._adopt(tensor, path, inputs)
            name = name_of_call(path or "output", call)
            self._tap(tensor, name if i == 0 else f"{name}[{i}]", (path, "", call), packed.get(id(tensor)))

    def _adopt(self, tensor: Tensor, path: str, inputs: Any) -> None:
        """What a module put out that nobody saw being made is made of the module's arguments."""
        known = self.notes.find(tensor)
        if (known is not None and OPAQUE not in known.feeds) or id(tensor) in self._weights:
            return
        given = [(t, note) for t in tensors_in(inputs) if (note := self.notes.find(t)) is not None]
        feeds = _union(note.feeds for _, note in given)
        same = next((note for t, note in given if t.shape == tensor.shape), None)
        layout = (
            known.layout
            if known is not None
            else same.layout
            if same is not None
            else Layout(unseen(tensor.shape, self._n))
        )
        if feeds:
            done = Operation(path, "forward")
            self.notes.put(tensor, Note(feeds, layout, None, (*_operations_of(given), done)))

    def _tap(self, tensor: Tensor, name: str, place: tuple[str, str, int], packed: PackedSequence | None) -> None:
        """Draft a site for a module's output. A module that only calls an activation is that activation."""
        note = self.notes.find(tensor) or Note(
            frozenset() if id(tensor) in self._weights else self._taken_out | {OPAQUE},
            Layout(unseen(tensor.shape, self._n)),
        )
        path, kind = place[0], self._kinds.get(place[0], "other")
        inner = self.drafts.get(note.same or "")
        is_activation = kind == "activation"
        activations, curve, feeds, operations, alias = (), note.curve, note.feeds, note.operations, note.same
        if is_activation and inner is not None and inner.place[0] == path and inner.place[1]:
            activations, feeds, operations, alias = inner.activations, inner.feeds, inner.operations, None
        self._keep(one for one in note.pending if not is_activation or self.drafts[one].place[0] != path)
        shape, layout = (tuple(tensor.shape), note.layout) if packed is None else _padded_form(packed, note.layout)
        if alias is None and curve is not None and not activations:
            activations = curve.functions if is_activation else ()
        self.drafts[name] = Draft(
            name, place, "output" if not path else kind, feeds, alias, layout, shape, operations, activations,
            curve if is_activation and alias is None else None,
        )  # fmt: skip
        if alias is None:
            kept = note.curve if is_activation else None
            self.notes.put(tensor, Note(frozenset({name}), note.layout, name, (), kept))
            self.notes.rename(tensor, name)


def name_of_call(name: str, call: int) -> str:
    """A name, with the number of the call from the second on."""
    return f"{name}#{call + 1}" if call else name


def _union(many: Iterable[frozenset[str]]) -> frozenset[str]:
    return fold(frozenset.union, many, _NOTHING)


def _carries_on(step: TorchCall, out: Tensor) -> bool:
    """Whether a step hands values on, element by element or moved, so that what bent them has not been read yet."""
    if step.name in MOVES | RESHAPES | JOINS | KEEPING:
        return True
    return is_elementwise(step, out)


def _is_statistic(step: TorchCall, draft: Draft) -> bool:
    return step.name in REDUCTIONS and draft.activations[-1:] != () and draft.activations[-1] in STATISTICS


def _carries_values(tensor: Tensor, sources: Iterable[Operand], masks: frozenset[str]) -> bool:
    """Numbers and truth values made of floating-point values carry none of these on: positions, counts, comparisons.

    Those made of a mask are the mask.
    """
    if tensor.is_floating_point() or tensor.is_complex():
        return True
    values = [one for one in sources if one.note is not None and not (one.note.feeds and one.note.feeds <= masks)]
    return not any(one.tensor.is_floating_point() for one in values)


def _same(step: TorchCall, tensor: Tensor) -> str | None:
    """The site whose values these are, if the step only names them anew."""
    first = step.first
    if step.name not in KEEPING or first is None or first.note is None or tensor.numel() != first.tensor.numel():
        return None
    if step.name in DROPOUTS and step.arg(2, "training", default=True) and step.arg(1, "p", 0.5):
        return None
    return first.note.same


def _moved_gates(step: TorchCall) -> frozenset[str]:
    first = step.first
    return first.note.gates if step.name in MOVES | RESHAPES and first is not None and first.note else _NOTHING


def _operations_of(given: Iterable[tuple[Tensor, Note]]) -> tuple[Operation, ...]:
    return tuple(dict.fromkeys(operation for _, note in given for operation in note.operations))


def _readable(output: Any) -> list[Tensor]:
    """The floating-point tensors of an output, the one that is read as the output first."""
    floats = [t for t in tensors_in(output) if t.is_floating_point() and t.ndim and t.layout == torch.strided]
    found = tensor_of(output) if len(floats) > 1 else None
    main = [t for t in floats if found is not None and t is found.tensor]
    return [*main, *(t for t in floats if not any(t is m for m in main))]


def _padded_form(packed: PackedSequence, layout: Layout) -> tuple[tuple[int, ...], Layout]:
    """The form in which a packed sequence is read: samples, positions, units."""
    n, t = int(packed.batch_sizes[0]), len(packed.batch_sizes)
    first = layout.axes[0]
    pair: tuple[Axis, Axis] = ((first[1],), (first[0],)) if len(first) == 2 else fresh((n, t))  # type: ignore[assignment]
    pair = tuple(axis(one[0].variable, size) if one else () for one, size in zip(pair, (n, t), strict=True))  # type: ignore[assignment]
    return (n, t, *packed.data.shape[1:]), Layout((*pair, *layout.axes[1:]), layout.unit)
