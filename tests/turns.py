"""Costly cases take turns: each change runs a share of them, a few changes all, and UNBEND_LAB=all all at once."""

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")


def turn(n: int) -> int | None:
    """Which of `n` shares has its turn at this commit; none where all are asked for."""
    if os.environ.get("UNBEND_LAB") == "all":
        return None
    command = ["git", "rev-list", "--count", "HEAD"]
    found = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parent, check=False)
    return int(found.stdout or 0) % n


def share(cases: Sequence[T], n: int) -> list[T]:
    """Every n-th of the cases, from the one whose turn it is; all of them where all are asked for."""
    first = turn(n)
    return list(cases) if first is None else list(cases[first::n])
