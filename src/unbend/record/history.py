"""A history in a file that is written line by line while the run goes on.

A line is a checksum and one JSON value: the head, then what was watched, snapshots, events. A line is written by one
call of the system, so a process that is killed loses at most the line it was writing; a line that is cut short or
damaged is left out when the file is read. Numbers of layers are float32, compressed. Only rank 0 of a run writes.
"""

import json
import math
import os
from base64 import b64decode, b64encode
from collections.abc import Iterable, Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, final
from zlib import compress, crc32, decompressobj
from zlib import error as ZlibError

import numpy as np

from unbend.errors import LayerError, RecordError
from unbend.study.history.evidence import Occurrence
from unbend.study.history.values import FIELDS, AboutRun, RunEvent, RunHistory, Snapshot, WatchedLayer
from unbend.study.share import share

MAGIC = "unbend-history 1"
"""How every file begins, with the number of its form."""
MOST_BYTES = 1 << 24
"""Bytes of one snapshot's table, at most, when it is read."""
_CHECK = 9
"""Characters of a line before its JSON: eight of the checksum and a blank."""


@final
class HistoryFile:
    """A sink that keeps a run in a file, behind what an earlier part of the run left there.

    Args:
        path: the file; one that is there must be a history.

    Raises:
        RecordError: the file is something else, or cannot be written.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path: Path = Path(path)
        is_there = _has_content(self.path)
        self.past: RunHistory = open_history(path) if is_there else RunHistory(AboutRun())
        self._names: tuple[str, ...] = ()
        self._is_writer = share().rank == 0
        self._write_lines(() if is_there else (json.dumps(MAGIC),), is_first=True)

    def begin(self, about: AboutRun) -> None:
        """Write what is watched.

        Raises:
            RecordError: the file holds a run of other layers.
        """
        if self.past.snapshots and not self.past.about.has_layers_of(about):
            self._is_writer = False  # nothing of this run belongs there, not even how it ended
            raise RecordError(
                f"{self.path}: expected a file of its own for this run, got one that holds a run of other layers "
                f"({self.past.about.model}). Choose another file, or remove it."
            )
        self._names = tuple(layer.name for layer in about.layers)
        self._write({"about": asdict(about), "fields": list(FIELDS)})

    def snapshot(self, snapshot: Snapshot) -> None:
        """Write a snapshot: one line."""
        rows = [[snapshot.layers.get(name, {}).get(what, np.nan) for what in FIELDS] for name in self._names]
        packed = b64encode(compress(np.array(rows, "<f4").T.tobytes())).decode()
        values = {name: _plain(value) for name, value in snapshot.values.items()}
        self._write({"step": snapshot.step, "at": round(snapshot.seconds, 3), "values": values, "layers": packed})

    def event(self, event: RunEvent) -> None:
        """Write an event."""
        self._write({"event": [event.step, round(event.seconds, 3), event.what, event.text]})

    def finding(self, found: Occurrence) -> None:
        """Write nothing: findings are made from the history again."""

    def end(self, history: RunHistory) -> None:  # noqa: ARG002  what it holds is in the file
        """Write that it is over."""
        self._write({"end": True})

    def _write(self, value: dict[str, Any]) -> None:
        self._write_lines((json.dumps(value, separators=(",", ":"), allow_nan=False),))

    def _write_lines(self, lines: Iterable[str], *, is_first: bool = False) -> None:
        if not self._is_writer:
            return
        text = "".join(f"{crc32(line.encode()):08x} {line}\n" for line in lines).encode()
        try:
            with self.path.open("ab", buffering=0) as file:
                if is_first and not _ends_whole(self.path):
                    text = b"\n" + text
                file.write(text)
        except OSError as error:
            reason = error.strerror or str(error)
            raise RecordError(
                f"{self.path}: the history could not be written: {reason}. Choose another place."
            ) from error


def is_over(path: str | os.PathLike[str]) -> bool:
    """Whether the run in a history has ended, for all its last whole line says."""
    try:
        lines = list(_lines(Path(path).read_bytes()))
    except OSError:
        return True
    return bool(lines) and isinstance(lines[-1], dict) and "end" in lines[-1]


def is_history(path: str | os.PathLike[str]) -> bool:
    """Whether a file begins as a history does."""
    try:
        with Path(path).open("rb") as file:
            return MAGIC.encode() in file.read(_CHECK + len(MAGIC) + 2)
    except OSError:
        return False


def open_history(path: str | os.PathLike[str]) -> RunHistory:
    """The history in a file, also while a run writes it; lines that are not whole are left out.

    Args:
        path: a file that `unbend.watch` wrote.

    Raises:
        RecordError: no such file, or no history.
    """
    try:
        text = Path(path).read_bytes()
    except OSError as error:
        raise RecordError(f"{path}: the file could not be read: {error.strerror or error}.") from error
    lines = list(_lines(text))
    if not lines or lines[0] != MAGIC:
        said = lines[0] if lines and isinstance(lines[0], str) else None
        newer = f" It says {said[:40]!r}: upgrade unbend." if said else ""
        raise RecordError(f"{path}: not a history of a training run. unbend.watch writes them.{newer}")
    try:
        return _assemble(lines[1:])
    except LayerError as error:
        raise RecordError(f"{path}: holds runs of different layers. Give each run a file of its own.") from error
    except (KeyError, TypeError, ValueError, ZlibError) as error:
        raise RecordError(f"{path}: a damaged history: {type(error).__name__} {error}. Copy it again.") from error


def _lines(text: bytes) -> Iterator[Any]:
    """The values of the lines that are whole."""
    for line in text.split(b"\n"):
        check, body = line[: _CHECK - 1], line[_CHECK:]
        if len(line) > _CHECK and check == f"{crc32(body):08x}".encode():
            yield json.loads(body)


def _assemble(lines: Iterable[dict[str, Any]]) -> RunHistory:
    """Parts of a run, one from each `about` on, added."""
    whole: RunHistory | None = None
    about, fields = AboutRun(), list(FIELDS)
    snapshots: list[Snapshot] = []
    events: list[RunEvent] = []
    early: list[RunEvent] = []
    for line in lines:
        if "about" in line:
            if about.layers:
                part = RunHistory(about, tuple(snapshots), tuple(events))
                whole = part if whole is None else whole + part
                snapshots, events = [], []
            about, fields = _about(line["about"]), line["fields"]
        elif "end" in line:
            continue
        elif "event" in line:
            step, seconds, what, text = line["event"]
            (events if about.layers else early).append(RunEvent(int(step), float(seconds), str(what), str(text)))
        else:
            snapshot = _snapshot(line, about, fields)
            if snapshots and snapshots[-1].step == snapshot.step:  # a line of what was logged after it
                measured = snapshots.pop()
                snapshot = replace(measured, values=measured.values | snapshot.values)
            snapshots.append(snapshot)
    part = RunHistory(about, tuple(snapshots), (*early, *events))
    return part if whole is None else whole + part


def _about(tree: dict[str, Any]) -> AboutRun:
    layers = tuple(
        WatchedLayer(
            name=layer["name"], kind=layer["kind"], module=layer["module"], shape=tuple(layer["shape"]),
            is_output=layer["is_output"], fed_by=layer["fed_by"],
        )
        for layer in tree["layers"]
    )  # fmt: skip
    return AboutRun(
        model=tree["model"], layers=layers, n_parameters=tree["n_parameters"], ranks=tree["ranks"],
        notes=tuple(tree["notes"]), versions=dict(tree["versions"]), started=float(tree["started"]),
    )  # fmt: skip


def _snapshot(line: dict[str, Any], about: AboutRun, fields: list[str]) -> Snapshot:
    table = np.frombuffer(_inflate(line["layers"]), "<f4").reshape(len(fields), len(about.layers)).T
    layers = {
        layer.name: {what: float(value) for what, value in zip(fields, row, strict=True) if not math.isnan(value)}
        for layer, row in zip(about.layers, table, strict=True)
    }
    values = {name: float(value) for name, value in line["values"].items()}
    return Snapshot(int(line["step"]), float(line["at"]), values, {k: v for k, v in layers.items() if v})


def _inflate(text: str) -> bytes:
    """What was packed, if it is no more than a table of layers can be."""
    packed = decompressobj()
    table = packed.decompress(b64decode(text), MOST_BYTES)
    if packed.unconsumed_tail:
        raise ValueError("a table larger than any network has")
    return table


def _plain(value: float) -> float | str:
    """A number as JSON knows it, to six digits; infinite ones as text."""
    return float(f"{value:.6g}") if math.isfinite(value) else str(value)


def _has_content(path: Path) -> bool:
    return path.exists() and path.stat().st_size > 0


def _ends_whole(path: Path) -> bool:
    """Whether a file is empty or ends with a whole line."""
    size = path.stat().st_size
    if size == 0:
        return True
    with path.open("rb") as file:
        file.seek(size - 1)
        return file.read(1) == b"\n"
