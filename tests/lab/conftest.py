"""A claim is run once: its quick run with seed 0 is shared by the laws and by its own tests, all in one worker.

Studies are not examined there, since no claim asks for findings and trees take most of the time of a small study. The
claims that are run again are run as users run them, and give the same numbers.
"""

from contextlib import contextmanager
from functools import cache
from pathlib import Path

import pytest
import torch

from unbend.lab import claim
from unbend.lab.needs import missing
from unbend.study.passes import Passes

_HERE = Path(__file__).parent


@contextmanager
def _unexamined():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Passes, "examination", lambda self, model: None)
        yield


@pytest.fixture(autouse=True)
def unexamined(request):
    """Studies of a claim's own tests are not examined; what `test_claims.py` runs again is."""
    if request.path.name == "test_claims.py":
        yield
        return
    with _unexamined():
        yield


@cache
def _result(name):
    state = torch.get_rng_state()
    with _unexamined():
        result = claim(name).run(0, "quick")
    assert torch.equal(torch.get_rng_state(), state), "it drew from the global generator"
    return result


@pytest.fixture(scope="session")
def quick():
    """`quick(name)`: the result of that claim's quick run with seed 0; nobody may write into it."""

    def result(name):
        for line in filter(None, map(missing, claim(name).needs)):
            pytest.skip(line)
        return _result(name)

    return result
