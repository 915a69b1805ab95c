"""Ctrl-C at any moment ends with 130 and one line, and leaves no page. Real processes that interrupt themselves."""

import os
import subprocess
import sys

import pytest
from tests.children import command_line, start

RAISE = "import signal\nsignal.raise_signal(signal.SIGINT)\n"
NET = """
import signal
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.body, self.calls = nn.Linear(64, 10), 0
    def forward(self, x):
        self.calls += 1
        if self.calls == 6:
            HERE
        return self.body(x)
"""
SWALLOWED = """
class Lost:
    def __del__(self):
        signal.raise_signal(signal.SIGINT)
"""


def early(folder, words):
    """A process that is interrupted while it still imports: it finds another `typer`."""
    (folder / "early").mkdir()
    (folder / "early" / "typer.py").write_text(RAISE)
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(folder / "early"), os.environ.get("PYTHONPATH", "")])}
    return subprocess.run([sys.executable, "-m", "unbend", *words], cwd=folder, env=env, capture_output=True, text=True,
                          timeout=300, check=False)  # fmt: skip


@pytest.mark.parametrize("moment", ["import", "model", "data", "forward", "swallowed"])
def test_ctrl_c_ends_with_130_and_one_line(tmp_path, moment):
    here = {"forward": "signal.raise_signal(signal.SIGINT)", "swallowed": "Lost()"}.get(moment, "pass")
    (tmp_path / "m.py").write_text((RAISE if moment == "model" else "") + NET.replace("HERE", here) + SWALLOWED)
    (tmp_path / "d.py").write_text(
        RAISE if moment == "data" else "from unbend.load import data\nall = data('digits')\n"
    )
    words = ("report", "m.py:Net", "d.py:all", "-o", "page.html")
    done = early(tmp_path, words) if moment == "import" else start(command_line, *words, cwd=tmp_path).ended()
    assert done.returncode == 130, done.stderr
    assert [line for line in done.stderr.splitlines() if line.startswith("Interrupted.")]
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.glob("*.html"))
    assert not list(tmp_path.glob(".tmp*"))
