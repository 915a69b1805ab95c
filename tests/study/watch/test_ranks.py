"""Runs on two ranks over gloo: the history of one process, and an end in bounded time where a rank is lost."""

import pickle
import re
import time

import numpy as np
import pytest
import torch
from tests.children import start
from tests.study.watch import ranks as ranks_of_a_run

import unbend
from unbend.report.run import run_page
from unbend.study.history.values import FIELDS


def begin(case, place, ranks=2):
    place.mkdir(exist_ok=True)
    return [start(ranks_of_a_run.main, case, rank, ranks, place) for rank in range(ranks)]


def state(place, rank):
    return pickle.loads((place / f"rank{rank}").read_bytes())


def test_two_ranks_make_the_history_and_the_page_of_one_process(tmp_path):
    running = [
        begin("train", tmp_path / "two"),
        begin("unwatched", tmp_path / "bare"),
        begin("train", tmp_path / "one", 1),
    ]
    for each in running:
        assert [one.ended().returncode for one in each] == [0] * len(each)
    for rank in (0, 1):
        watched, bare = state(tmp_path / "two", rank)[0], state(tmp_path / "bare", rank)[0]
        assert all(torch.equal(watched[key], bare[key]) for key in bare)
    assert state(tmp_path / "two", 0)[1:] == state(tmp_path / "two", 1)[1:]
    two, one = (unbend.open_history(tmp_path / name / "run.unbend") for name in ("two", "one"))
    assert two.about.ranks == 2
    assert two.steps.tolist() == one.steps.tolist() == [1, 3, 5, 7, 9]
    for layer in one.about.layers:
        for what in FIELDS:
            np.testing.assert_allclose(two.layer(layer.name, what), one.layer(layer.name, what), rtol=2e-3, atol=1e-6)
    for what in ("loss", "accuracy", "recall", "gradient", "clipped", "learning_rate", "majority"):
        np.testing.assert_allclose(two.value(what), one.value(what), rtol=1e-4)
    assert shape_of(run_page(two)) == shape_of(run_page(one))


def shape_of(page):
    """A page without its numbers and without how long it took on how many ranks."""
    return re.sub(r"-?\d[\d.,e+-]*", "0", re.sub(r'<p class="quiet facts">.*?</p>', "", page))


@pytest.fixture(scope="session", autouse=True)
def lost(tmp_path_factory):
    """Two ranks of which one goes, and when they began: with the first test of the file, to wait while others run."""
    folder = tmp_path_factory.mktemp("lost")
    started = time.monotonic()
    begun = {case: (begin(case, folder / case), folder / case) for case in ("leaves", "sleeps")}
    yield begun, started
    for running, _ in begun.values():
        for one in running:
            one.kill()


@pytest.mark.last
@pytest.mark.parametrize("case", ["leaves", "sleeps"])
def test_a_rank_that_is_dead_or_asleep_ends_the_others_with_a_sentence_in_bounded_time(case, lost):
    begun, started = lost
    (first, _), place = begun[case]
    done = first.ended(timeout=ranks_of_a_run.PATIENCE + 120 - (time.monotonic() - started))
    assert done.returncode == 3
    assert "died or is stuck" in done.stdout
    assert unbend.open_history(place / "run.unbend").steps.tolist() == [1, 3]


def test_parameters_that_are_spread_over_ranks_are_refused_with_a_word(tmp_path):
    for done in [one.ended() for one in begin("sharded", tmp_path / "sharded")]:
        assert done.returncode == 0, done.stderr[-1500:]
        refused = [line.split(":")[0] for line in done.stdout.splitlines() if "are spread over ranks" in line]
        assert refused == ["before", "between", "inside", "wrapped"]
