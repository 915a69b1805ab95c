"""How functions are compiled, with what numba has of its own, and without."""

import subprocess
import sys

import pytest

CODE = """
import logging, sys
import numpy as np
from numba.core import codegen

logging.basicConfig(stream=sys.stdout, format="%(message)s")
if IS_CHANGED:
    del codegen.JITCodeLibrary
from unbend.numerics.compiled import jit

@jit.part(set(), is_inlined=True)
def square(x):
    return x * x

@jit.part(set())
def length(x):
    total = 0.0
    for i in range(len(x)):
        total += square(x[i])
    return np.sqrt(total)

@jit.entry(set())
def lengths(x):
    found = np.empty(len(x))
    for i in range(len(x)):
        found[i] = length(x[i])
    return found

print(lengths(np.array([[3.0, 4.0], [5.0, 12.0]])).tolist())
"""


@pytest.mark.parametrize("is_changed", [False, True])
def test_parts_are_compiled_and_said_to_be_slow_where_numba_has_changed(tmp_path, is_changed):
    script = tmp_path / "script.py"
    script.write_text(f"IS_CHANGED = {is_changed}\n{CODE}")
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=True, timeout=120)
    assert done.stdout.splitlines()[-1] == "[5.0, 13.0]"
    assert ("compiles slower than it could" in done.stdout) == is_changed
