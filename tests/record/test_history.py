"""A history in a file: whole lines survive whatever happens to the process, and come back as they were."""

import os
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from tests.study.watch.runs import Functional, perceptron, train

import unbend
from unbend.errors import LayerError, RecordError
from unbend.record.history import HistoryFile, is_history, is_over
from unbend.study.history.values import FIELDS, AboutRun, RunEvent, RunHistory, Snapshot, WatchedLayer

ROOT = Path(__file__).parents[2]


def same(one, other):
    assert one.about == other.about
    assert one.steps.tolist() == other.steps.tolist()
    assert [(e.step, e.what, e.text) for e in one.events] == [(e.step, e.what, e.text) for e in other.events]
    for layer in one.about.layers:
        for what in FIELDS:
            np.testing.assert_allclose(one.layer(layer.name, what), other.layer(layer.name, what), rtol=1e-6)
    for name in one.logged_names():
        np.testing.assert_allclose(one.value(name), other.value(name), rtol=1e-5)


def test_what_was_watched_comes_back(tmp_path):
    place = tmp_path / "run.unbend"
    watch = train(perceptron(), n=8, file=place)
    same(unbend.open_history(place), watch.history)
    assert is_history(place)
    assert is_over(place)


def test_a_run_is_readable_while_it_goes_on(tmp_path):
    place, seen = tmp_path / "run.unbend", []

    def step(loss, optimiser):
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        seen.append(len(unbend.open_history(place).snapshots))
        assert not is_over(place)

    train(perceptron(), n=6, every=2, file=place, step=step)
    assert seen == [1, 1, 2, 2, 3, 3]


def test_a_run_taken_up_again_is_continued_in_its_file(tmp_path):
    place = tmp_path / "run.unbend"
    train(perceptron(), n=5, every=1, file=place)
    second = train(perceptron(), n=3, every=1, file=place)
    assert unbend.open_history(place).steps.tolist() == [1, 2, 3, 4, 5, 6, 7, 8]
    assert second.history.steps.tolist() == [6, 7, 8]


def test_a_run_of_another_model_is_refused_before_it_is_written_and_the_file_stays_readable(tmp_path):
    place = tmp_path / "run.unbend"
    first = train(perceptron(), n=3, every=1, file=place)
    before = place.read_bytes()
    with pytest.raises(
        RecordError, match=r"got one that holds a run of other layers \(Sequential\)\. Choose another file"
    ):
        train(Functional(), n=3, every=1, file=place)
    assert place.read_bytes() == before
    assert unbend.open_history(place).steps.tolist() == first.history.steps.tolist()
    mixed = tmp_path / "mixed.unbend"
    train(Functional(), n=3, every=1, file=mixed)
    mixed.write_bytes(before + mixed.read_bytes().partition(b"\n")[2])
    with pytest.raises(RecordError, match="holds runs of different layers"):
        unbend.open_history(mixed)


def test_parts_add_up_and_the_later_counts_where_they_overlap():
    about = AboutRun("net", (WatchedLayer("a", "affine", "Linear"),), 3)
    one = RunHistory(about, tuple(Snapshot(s, float(s), {"loss": 1.0}, {"a": {"rms": 1.0}}) for s in (1, 2, 3)))
    two = RunHistory(about, tuple(Snapshot(s, float(s), {"loss": 2.0}, {"a": {"rms": 2.0}}) for s in (3, 4)),
                     (RunEvent(4, 4.0, "checkpoint"),))  # fmt: skip
    whole = one + two
    assert whole.steps.tolist() == [1, 2, 3, 4]
    assert whole.value("loss").tolist() == [1, 1, 2, 2]
    assert len(whole.events) == 1
    assert (one + RunHistory(about)) is one
    other = RunHistory(AboutRun("net", (WatchedLayer("b", "affine", "Linear"),), 3))
    with pytest.raises(LayerError, match="different layers"):
        one + other


@pytest.mark.parametrize("damage", ["cut", "flip", "blank"])
def test_a_line_that_is_not_whole_is_left_out(tmp_path, damage):
    place = tmp_path / "run.unbend"
    whole = train(perceptron(), n=6, every=1, file=place).history
    lines = place.read_bytes().split(b"\n")
    if damage == "cut":
        place.write_bytes(b"\n".join(lines[:-2])[:-7])
    elif damage == "flip":
        lines[4] = lines[4][:40] + bytes([lines[4][40] ^ 1]) + lines[4][41:]
        place.write_bytes(b"\n".join(lines))
    else:
        lines.insert(3, b"")
        place.write_bytes(b"\n".join(lines))
    found = unbend.open_history(place)
    assert len(found.snapshots) == len(whole.snapshots) - (damage != "blank")
    train(perceptron(), n=2, every=1, file=place)
    assert unbend.open_history(place).steps[-1] == found.steps[-1] + 2


def test_a_run_killed_at_ten_random_moments_leaves_a_readable_history_each_time(tmp_path):
    """Children of one process that has imported everything are killed, one after the other, in one file."""
    place = tmp_path / "run.unbend"
    env = os.environ | {"PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}"}
    done = subprocess.run(
        [sys.executable, "-m", "tests.record.killed", str(place)], env=env, cwd=ROOT, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    counts = [int(word) for word in done.stdout.split()]
    assert len(counts) == 10
    assert all(b > a for a, b in pairwise([0, *counts]))
    assert unbend.open_history(place).steps.tolist() == list(range(1, counts[-1] + 1))


def test_a_thousand_snapshots_of_ten_layers_take_less_than_a_megabyte(tmp_path):
    place = tmp_path / "run.unbend"
    rng = np.random.default_rng(0)
    layers = tuple(WatchedLayer(f"blocks.{i}.relu", "activation", "ReLU", (64,)) for i in range(10))
    file = HistoryFile(place)
    file.begin(AboutRun("net", layers, 10_000))
    values = ("loss", "loss_spread", "learning_rate", "gradient", "clipped", "accuracy", "recall", "majority", "cost")
    for step in range(1000):
        file.snapshot(Snapshot(
            step + 1, step * 0.1, {name: float(rng.random()) for name in values},
            {layer.name: {what: float(rng.random()) for what in FIELDS} for layer in layers},
        ))  # fmt: skip
    assert place.stat().st_size < 1_000_000
    assert len(unbend.open_history(place).snapshots) == 1000


def test_what_is_no_history_is_refused_in_words(tmp_path):
    place = tmp_path / "other.unbend"
    place.write_text("a letter\n")
    with pytest.raises(RecordError, match="not a history"):
        unbend.open_history(place)
    with pytest.raises(RecordError, match="not a history"):
        HistoryFile(place)
    with pytest.raises(RecordError, match="could not be read"):
        unbend.open_history(tmp_path / "none")
    with pytest.raises(RecordError, match="could not be written"):
        HistoryFile(tmp_path / "nowhere" / "run.unbend")
    assert place.read_text() == "a letter\n"
