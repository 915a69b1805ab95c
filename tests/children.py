"""Processes of their own without an import of their own: each is forked from one that has imported unbend once.

To start Python and import torch takes three seconds, and many tests need a process: to take rights or room from it,
to interrupt it, to kill it, to let it meet others. What only the start of a process shows needs `subprocess`.
In these processes types are not checked, as in those of users.
"""

import os
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.process import BaseProcess
from pathlib import Path
from runpy import run_path
from tempfile import mkdtemp
from typing import Any

ROOT = Path(__file__).parents[1]
_FORKED = get_context("forkserver")
_FORKED.set_forkserver_preload([
    "unbend.cli.report", "unbend.record", "unbend.report", "unbend.study.watch", "unbend.zoo",
    "unbend.numerics.compiled.running", "torch._dynamo", "pydantic", "scipy.optimize",
    "sklearn.linear_model", "sklearn.model_selection", "sklearn.neighbors", "sklearn.pipeline",
])  # fmt: skip
"""What commands and studies import: it is half of the time of a small one."""
if str(ROOT) not in sys.path:  # a child looks for the function it runs where this process would
    sys.path.append(str(ROOT))


@dataclass(frozen=True, slots=True)
class Ended:
    """What a child left: its exit status, and what it said."""

    returncode: int
    stdout: str
    stderr: str


@dataclass(frozen=True, slots=True)
class Child:
    """A child that runs."""

    process: BaseProcess
    said: Path

    def ended(self, timeout: float = 300) -> Ended:
        """What it left; one that takes longer than `timeout` seconds is killed."""
        self.process.join(timeout)
        if self.process.exitcode is None:
            self.kill()
        out, err = ((self.said / name).read_text() if (self.said / name).exists() else "" for name in ("out", "err"))
        return Ended(self.process.exitcode, out, err)

    def kill(self) -> None:
        """End it at once."""
        self.process.kill()
        self.process.join()


def start(
    function: Callable[..., Any],
    *args: Any,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    stdout: str | None = None,
) -> Child:
    """A child that calls a function of a module, with arguments that can be pickled; `stdout` names another file."""
    said = Path(mkdtemp())
    process = _FORKED.Process(target=_run, args=(function, args, said, cwd or ROOT, dict(env or {}), stdout))
    process.start()
    return Child(process, said)


def _run(function, args, said, cwd, env, stdout):
    for number, place in ((1, stdout or said / "out"), (2, said / "err")):
        os.dup2(os.open(place, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
    os.environ.update(env)
    os.chdir(cwd)
    function(*args)
    with suppress(OSError):
        sys.stdout.flush()


def command_line(*words: str) -> None:
    """`unbend WORDS` in a child."""
    from unbend.__main__ import start as begin

    sys.argv = ["unbend", *words]
    begin()


def script(path: str, *words: str) -> None:
    """`python PATH WORDS` in a child."""
    sys.argv = [path, *words]
    run_path(path, run_name="__main__")
