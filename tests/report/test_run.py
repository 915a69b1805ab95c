"""The page of a training run, and what the terminal shows of it."""

import json
import re

import numpy as np
import pytest
from studies import history
from tests.study.watch.runs import perceptron, train

import unbend
from unbend.cli.main import main
from unbend.cli.run import spark
from unbend.report.run import POINTS, movers, run_page
from unbend.study.history.values import AboutRun, RunHistory


def run(*words):
    """A command that ends well."""
    with pytest.raises(SystemExit) as left:
        main(list(words))
    assert not left.value.code


def payload(page):
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)
    return json.loads(found[1])


def test_the_page_holds_every_curve_and_what_happened():
    h = history(name="<i>net</i>")
    page = run_page(h)
    data = payload(page)
    assert data["steps"] == h.steps.tolist()
    silent = next(panel for panel in data["panels"] if panel["name"] == "silent")
    assert len(silent["curves"]) == 9
    np.testing.assert_allclose(silent["curves"][8]["values"], h.layer("l8", "silent"), rtol=1e-3)
    assert silent["moved"] == [3, 4, 5, 6, 7, 8]
    assert {"step": 50, "kind": "event", "text": "checkpoint: a<b>.pt"} in data["marks"]
    assert any(mark["kind"] == "rate" and mark["step"] == 100 for mark in data["marks"])
    assert "<i>net" not in page
    assert "a<b>" not in page
    assert not re.search(r"(src|href)=|https://", page)


def test_a_long_run_is_thinned_and_keeps_its_ends():
    h = history(n=3 * POINTS)
    steps = payload(run_page(h))["steps"]
    assert len(steps) == POINTS
    assert (steps[0], steps[-1]) == (10, 30 * POINTS)


def test_the_layers_that_moved_most_are_those_in_colour():
    curves = np.array([[0.0, 0.0], [0.0, 1.0], [np.nan, np.nan], [0.5, 0.6]])
    assert movers(curves, 2) == [1, 3]
    assert movers(curves, 9) == [0, 1, 3]


def test_a_run_without_a_snapshot_has_a_page():
    assert "No snapshot was taken yet." in run_page(RunHistory(AboutRun("net")))


def test_the_terminal_shows_a_run_and_writes_its_page(tmp_path, capsys):
    place, page = tmp_path / "run.unbend", tmp_path / "run.html"
    train(perceptron(), n=8, every=1, file=place, name="mine")
    run("show", str(place), "--live", "-o", str(page))
    said = capsys.readouterr().out
    assert "mine  ·  step 8  ·  8 snapshots" in said
    assert re.search(r"^2 .*▁", said, re.MULTILINE)
    assert page.read_text(encoding="utf-8") == run_page(unbend.open_history(place))
    run("show", str(place), "--json")
    assert len(json.loads(capsys.readouterr().out)["snapshots"]) == 8


def test_a_study_cannot_be_followed(tmp_path, capsys):
    place = tmp_path / "study.unbend"
    place.write_bytes(b"nothing")
    with pytest.raises(SystemExit):
        main(["show", str(place), "--live"])
    assert "--live follows a training run" in capsys.readouterr().err
    (tmp_path / "begun.unbend").touch()  # as a run leaves it for a moment
    for name in ("later", "begun"):
        with pytest.raises(SystemExit):
            main(["show", str(tmp_path / f"{name}.unbend"), "--live"])
        assert "no such file yet. Start the run" in " ".join(capsys.readouterr().err.split())


def test_a_curve_in_a_few_characters():
    assert spark(np.array([0.0, 7.0])) == "▁█"
    assert spark(np.full(3, 2.0)) == "▁▁▁"
    assert spark(np.array([np.nan])) == ""
    assert len(spark(np.arange(100.0), width=6)) == 6
