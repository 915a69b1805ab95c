"""How long a command took, part by part: what its last line says."""

import os
import time
from pathlib import Path

from rich.text import Text

_LEAST = 0.05
"""Seconds below which a part is not named."""


class Clock:
    """Seconds since the process began, in parts that a command ends one by one."""

    def __init__(self) -> None:
        self._parts = {"start": _since_the_start()}
        self._last = time.perf_counter()

    def end(self, part: str) -> None:
        """The part that ran until now has this name."""
        now = time.perf_counter()
        self._parts[part] = self._parts.get(part, 0.0) + now - self._last
        self._last = now

    def in_words(self) -> str:
        """All of it, and its parts.

        Example:
            >>> clock = Clock()
            >>> clock.end("study")
            >>> clock.in_words().partition(":")[0].endswith(" s")
            True
        """
        named = [f"{part} {seconds:.1f}" for part, seconds in self._parts.items() if seconds >= _LEAST]
        return f"{sum(self._parts.values()):.1f} s" + (f": {', '.join(named)}" if named else "")

    def line(self) -> Text:
        """The same as a line of a terminal."""
        return Text(f"{self.in_words()}.", style="dim")


def _since_the_start() -> float:
    """Seconds since the process was started, by Linux's account of it; elsewhere since Python's own clock began."""
    try:
        said = Path("/proc/self/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        return time.clock_gettime(time.CLOCK_BOOTTIME) - int(said[19]) / os.sysconf("SC_CLK_TCK")
    except (OSError, AttributeError, ValueError, IndexError):
        return time.process_time()
