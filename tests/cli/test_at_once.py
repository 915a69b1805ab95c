"""Commands that compute nothing import nothing that computes: what they need is read in a second."""

import json
import subprocess
import sys

from unbend.cli.main import COMMANDS

ASK = """
import json, sys
from unbend.cli import main

for words in json.loads(sys.argv[1]):
    try:
        main(words)
    except SystemExit:
        pass
    found = [name for name in ("torch", "scipy", "sklearn", "numba", "matplotlib", "numpy") if name in sys.modules]
    print("LOADED", json.dumps(found), flush=True)
"""
WORK = """
import gc
import unbend.cli
from unbend.__main__ import start
from unbend._garbage import sweep

def command():
    print(gc.get_threshold()[0])
    sweep()
    print(gc.get_threshold() == usual, gc.get_freeze_count() > 1000)

usual = gc.get_threshold()
unbend.cli.main = command
start()
"""


def loaded(folder, *commands):
    """Which of the large packages each command line has loaded, in one process, one after the other."""
    done = subprocess.run(
        [sys.executable, "-c", ASK, json.dumps(commands)], cwd=folder, capture_output=True, text=True, check=True
    )
    found = [json.loads(line.removeprefix("LOADED ")) for line in done.stdout.splitlines() if line.startswith("LOADED")]
    assert len(found) == len(commands), done.stderr
    return dict(zip(map(" ".join, commands), found, strict=True))


def test_what_computes_nothing_loads_no_arrays(tmp_path):
    words = (["--version"], ["--help"], ["reprot"], ["lab"])
    assert set(map(tuple, loaded(tmp_path, *words).values())) == {()}


def test_help_of_every_command_computes_nothing(tmp_path):
    found = loaded(tmp_path, *([name, "--help"] for name in COMMANDS))
    assert len(found) == len(COMMANDS)
    assert set(map(tuple, found.values())) == {()}


def test_a_process_that_runs_a_command_looks_for_garbage_as_soon_as_its_work_begins(tmp_path):
    done = subprocess.run([sys.executable, "-c", WORK], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["100000", "True True"]


def test_studies_are_shown_and_compared_without_torch(studies):
    words = (
        ["show", "gone.unbend"],
        ["show", "a.unbend"],
        ["show", "a.unbend", "--json"],
        ["compare", "a.unbend", "b.unbend"],
        ["show", "a.unbend", "-o", "a.html"],
        ["compare", "a.unbend", "b.unbend", "-o", "both.html"],
    )
    assert set(map(tuple, loaded(studies, *words).values())) == {("numpy",)}
    assert (studies / "a.html").exists()
    assert (studies / "both.html").exists()
