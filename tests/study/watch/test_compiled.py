"""Compiled models: two graphs, no break, the weights of a run that nobody watched. Each in a process of its own."""

import pytest
from tests.children import start
from tests.study.watch import compiled

CASES = (
    "perceptron", "residual", "attending", "functional", "compiled_in_place", "parts_compiled", "too_late_is_told",
    "the_inner_model_is_told_too", "a_wrapped_pass_counts_once", "copies_are_silent",
    "by_inductor",
)  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_it_holds_of_compiled_models(case):
    done = start(compiled.main, case).ended()
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.strip() == "holds"
