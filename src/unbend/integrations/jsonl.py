"""A watched run as JSON lines, for programs of any kind."""

import json
import math
import os
from pathlib import Path
from typing import Any, final

from unbend.errors import RecordError
from unbend.study.history.evidence import Occurrence
from unbend.study.history.values import AboutRun, RunEvent, RunHistory, Snapshot


@final
class JsonLines:
    """A sink that appends a line of JSON to a file for every snapshot, event and finding.

    Args:
        path: the file.

    Raises:
        RecordError: it cannot be written.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = Path(path)
        self._append("")

    def begin(self, about: AboutRun) -> None:
        """Write what is watched."""
        self._write({"kind": "begin", "model": about.model, "layers": [layer.name for layer in about.layers]})

    def snapshot(self, snapshot: Snapshot) -> None:
        """Write a snapshot."""
        self._write({"kind": "snapshot", "step": snapshot.step, "seconds": snapshot.seconds,
                     "values": snapshot.values, "layers": snapshot.layers})  # fmt: skip

    def event(self, event: RunEvent) -> None:
        """Write an event."""
        self._write({"kind": "event", "step": event.step, "what": event.what, "text": event.text})

    def finding(self, found: Occurrence) -> None:
        """Write a finding."""
        f = found.finding
        self._write({"kind": "finding", "step": found.step, "rule": f.rule, "severity": f.severity, "layer": f.layer,
                     "title": f.title, "advice": f.advice})  # fmt: skip

    def end(self, history: RunHistory) -> None:
        """Write that the run is over."""
        self._write({"kind": "end", "snapshots": len(history.snapshots)})

    def _write(self, value: dict[str, Any]) -> None:
        self._append(json.dumps(_plain(value), allow_nan=False) + "\n")

    def _append(self, text: str) -> None:
        try:
            with self._path.open("a", encoding="utf-8") as file:
                file.write(text)
        except OSError as error:
            reason = error.strerror or str(error)
            raise RecordError(f"{self._path}: no lines could be written: {reason}. Choose another place.") from error


def _plain(value: Any) -> Any:
    """Numbers that JSON does not know as null."""
    if isinstance(value, dict):
        return {key: _plain(part) for key, part in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value
