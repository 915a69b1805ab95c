"""Compiled models: two graphs, no break, the weights of a run that nobody watched. Each in a process of its own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
CASES = (
    "perceptron", "residual", "attending", "functional", "compiled_in_place", "parts_compiled", "too_late_is_told",
    "the_inner_model_is_told_too", "copies_are_silent", "by_inductor",
)  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_it_holds_of_compiled_models(case):
    env = os.environ | {"PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}"}
    done = subprocess.run(
        [sys.executable, "-m", "tests.study.watch.compiled", case], cwd=ROOT, env=env, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.strip() == "holds"
