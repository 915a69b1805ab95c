"""Without any place to keep compiled code, unbend works all the same and says where the code went."""

import ctypes
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

import unbend

SCRIPT = "import numpy; from unbend.numerics import compiled; print(compiled.mix(numpy.arange(3), numpy.uint64(0)))"


@pytest.fixture
def package():
    """A copy of the package that its user cannot write, in a folder that every user may enter."""
    place = Path(tempfile.mkdtemp())
    shutil.copytree(Path(unbend.__file__).parent, place / "unbend", ignore=shutil.ignore_patterns("__pycache__"))
    for path in (place, *place.rglob("*")):
        path.chmod(0o555 if path.is_dir() else 0o444)
    yield place
    for path in (place, *place.rglob("*")):
        path.chmod(0o755)
    shutil.rmtree(place)


def _bind():
    """Root may write anywhere, until it drops that right (PR_CAPBSET_DROP, CAP_DAC_OVERRIDE)."""
    ctypes.CDLL(None).prctl(24, 1, 0, 0, 0)


def run(package, **env):
    own = {**os.environ, "PYTHONPATH": str(package), "PYTHONDONTWRITEBYTECODE": "1", **env}
    own = {key: value for key, value in own.items() if value}
    return subprocess.run([sys.executable, "-c", SCRIPT], env=own, capture_output=True, text=True, check=False,
                          cwd="/", timeout=300, preexec_fn=_bind)  # fmt: skip


SAID = "unbend compiles what this asks for, once on this machine: some ten seconds.\n"


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="permissions of a Unix")
def test_a_package_and_a_home_that_cannot_be_written_cost_one_sentence(package):
    temporary = Path(tempfile.mkdtemp())
    temporary.chmod(0o777)
    try:
        nowhere = {"HOME": "/proc/nowhere", "XDG_CACHE_HOME": "/proc/nowhere", "NUMBA_CACHE_DIR": ""}
        first = run(package, TMPDIR=str(temporary), **nowhere)
        assert first.returncode == 0, first.stderr
        assert first.stderr.count("compiled code goes to") == 1
        kept = sorted(temporary.rglob("*.nbc"))
        assert kept
        second = run(package, TMPDIR=str(temporary), **nowhere)
        assert second.stdout == first.stdout
        assert SAID in first.stderr
        assert SAID not in second.stderr
        assert sorted(temporary.rglob("*.nbc")) == kept
        chosen = run(
            package, NUMBA_CACHE_DIR=str(temporary / "mine"), HOME="/proc/nowhere", XDG_CACHE_HOME="/proc/nowhere"
        )
        assert (chosen.stdout, chosen.stderr) == (first.stdout, SAID)
        home = run(package, HOME=str(temporary), XDG_CACHE_HOME=str(temporary / "cache"), NUMBA_CACHE_DIR="")
        assert (home.stdout, home.stderr) == (first.stdout, SAID)
    finally:
        shutil.rmtree(temporary)
