"""A note for every tensor met in the pass: where its values come from and what its axes are.

In: tensors as they are made, read and written to. Out: the note of a tensor, brought up to date with what was written
into its memory since. Tensors are held weakly: notes and the log of writes go when they go, so that an address that is
used again brings nothing back.
"""

import weakref
from dataclasses import dataclass, field
from typing import NamedTuple

from torch import Tensor

from unbend.capture.flow.axes import Layout
from unbend.capture.flow.curves import ElementwiseCurve
from unbend.capture.outputs import version_of


class Operation(NamedTuple):
    """Something that was done, and the path of the module whose forward did it.

    Attributes:
        path: of the module; "" for the model itself.
        name: of the function.
    """

    path: str
    name: str


class Write(NamedTuple):
    """Something written into memory.

    Attributes:
        version: of the tensor after it, as torch counts.
        feeds: names of the sites whose values it wrote.
        is_whole: whether it left nothing of what was there before.
    """

    version: int
    feeds: frozenset[str]
    is_whole: bool


@dataclass(slots=True, eq=False, weakref_slot=True)
class Memory:
    """What was written into a storage, in order. Lives as long as a note of a tensor in that storage.

    Attributes:
        writes: from the first to the last.
    """

    writes: list[Write] = field(default_factory=list)


@dataclass(slots=True, eq=False)
class Note:
    """What is known of a tensor.

    Attributes:
        feeds: the sites its values come from, through no other site.
        layout: its axes.
        same: the site whose values these are, at most moved.
        operations: what was done since those sites.
        curve: the element-wise function of one earlier tensor that it is, where it is one.
        pending: activations between those sites and it that nothing has read yet.
        gates: the sites that a comparison was made of.
        version: of the tensor when the note was up to date.
        memory: what was written into its storage.
    """

    feeds: frozenset[str] = frozenset()
    layout: Layout = field(default_factory=Layout)
    same: str | None = None
    operations: tuple[Operation, ...] = ()
    curve: ElementwiseCurve | None = None
    pending: frozenset[str] = frozenset()
    gates: frozenset[str] = frozenset()
    version: int = -1
    memory: Memory | None = None


class Notebook:
    """The notes of the tensors that are alive."""

    def __init__(self) -> None:
        self._notes: dict[int, tuple[weakref.ref[Tensor], Note]] = {}
        self._memories: weakref.WeakValueDictionary[int, Memory] = weakref.WeakValueDictionary()

    def find(self, tensor: Tensor) -> Note | None:
        """The note of a tensor; None if it was made where nobody looked."""
        reference, note = self._notes.get(id(tensor), (None, None))
        if note is None or reference is None or reference() is not tensor:
            return None
        version = version_of(tensor)
        if version != note.version and note.memory is not None:
            for write in note.memory.writes:
                if write.version > note.version:
                    note.feeds = write.feeds if write.is_whole else note.feeds | write.feeds
                    note.same = note.curve = None
            note.version = version
        return note

    def put(self, tensor: Tensor, note: Note) -> None:
        """Note something down about a tensor as it is now."""
        note.version, note.memory = version_of(tensor), self._memory(tensor)
        key = id(tensor)
        self._notes[key] = weakref.ref(tensor, lambda gone: self._forget(key, gone)), note

    def write(self, tensor: Tensor, feeds: frozenset[str], *, is_whole: bool) -> None:
        """Log that a tensor was written to, for whatever else shares its memory."""
        whole = is_whole and tensor.numel() * tensor.element_size() == tensor.untyped_storage().nbytes()
        self._memory(tensor).writes.append(Write(version_of(tensor), feeds, whole))

    def rename(self, tensor: Tensor, name: str) -> None:
        """What was just written into the tensor's memory is the output of a site: older views of it hold it too."""
        memory, version = self._memory(tensor), version_of(tensor)
        memory.writes[:] = [w._replace(feeds=frozenset({name})) if w.version == version else w for w in memory.writes]

    def _memory(self, tensor: Tensor) -> Memory:
        key = tensor.untyped_storage()._cdata
        memory = self._memories.get(key)
        if memory is None:
            memory = self._memories[key] = Memory()
        return memory

    def _forget(self, key: int, gone: "weakref.ref[Tensor]") -> None:
        if self._notes.get(key, (None,))[0] is gone:
            del self._notes[key]
