"""Commands that compute nothing import nothing that computes: what they need is read in a second."""

import json
import subprocess
import sys

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
