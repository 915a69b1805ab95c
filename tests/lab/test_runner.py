"""Runs end as they should: kept and taken up again, told apart from what is missing, fails or breaks down."""

from dataclasses import replace
from multiprocessing import Pipe, active_children
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest

from unbend.errors import LoadError, MissingExtraError
from unbend.lab import Check, Verdict, claim, results, runner
from unbend.lab.claims import SECTIONS
from unbend.lab.entries import bounds, entry, plain
from unbend.lab.results import Run
from unbend.lab.runner import HEAVY, Task, perform, tasks, together


def task(folder: Path, name: str = "neuron", **changes) -> Task:
    return replace(Task(name, 0, "quick", folder, draws=False, films=False), **changes)


def with_claim(monkeypatch, **changes):
    """The claim `neuron`, with some of its functions replaced; and how often it ran."""
    honest = claim("neuron")
    times = []

    def counted(seed, budget):
        times.append(seed)
        return honest.run(seed, budget)

    counted.__module__, counted.__annotations__ = honest.run.__module__, honest.run.__annotations__
    made = replace(honest, **{"run": counted, **changes})
    monkeypatch.setattr(runner, "claim_of", lambda name: made)
    return times


def raising(error):
    def run(seed, budget):
        raise error

    run.__module__ = claim("neuron").run.__module__
    return run


def test_a_run_is_kept_and_not_run_again(monkeypatch, tmp_path):
    times = with_claim(monkeypatch)
    first, second = perform(task(tmp_path)), perform(task(tmp_path))
    assert times == [0]
    assert first.status == second.status == "passed"
    assert first.verdict.checks == second.verdict.checks
    assert second.result is None
    assert [path.name for path in (tmp_path / "runs").iterdir()] == ["neuron-quick-0.safetensors"]


@pytest.mark.parametrize("changes", [{"seed": 1}, {"budget": "full"}, {"fresh": True}])
def test_another_seed_or_budget_is_another_run(monkeypatch, tmp_path, changes):
    times = with_claim(monkeypatch)
    perform(task(tmp_path))
    perform(task(tmp_path, **changes))
    assert len(times) == 2


def test_a_changed_source_or_a_damaged_file_is_run_again(monkeypatch, tmp_path):
    times = with_claim(monkeypatch)
    perform(task(tmp_path))
    file = tmp_path / "runs" / "neuron-quick-0.safetensors"
    content = file.read_bytes()
    for damaged in (b"", content[:100], content[:-8], content.replace(b'"made by"', b'"made it"')):
        file.write_bytes(damaged)
        assert perform(task(tmp_path)).status == "passed"
    assert len(times) == 5
    monkeypatch.setattr(results, "source", lambda claim: "another source")
    perform(task(tmp_path))
    assert len(times) == 6


def test_a_failed_check_is_failed_and_kept_as_failed(monkeypatch, tmp_path):
    broken = Verdict("holds", "So it is.", (Check("a number", 2.0, 0, 1, "because"),))
    with_claim(monkeypatch, holds=lambda result: broken)
    for _ in range(2):
        run = perform(task(tmp_path))
        assert run.status == "failed"
        assert entry(claim("neuron"), [run]).word == "failed"


def test_one_failed_seed_of_three_makes_it_failed(monkeypatch, tmp_path):
    with_claim(monkeypatch)
    runs = [perform(task(tmp_path, seed=seed)) for seed in range(3)]
    assert entry(claim("neuron"), runs).word == "holds"
    other = replace(runs[1].verdict, outcome="false as told")
    torn = entry(claim("neuron"), [runs[0], replace(runs[1], verdict=other), runs[2]])
    assert torn.word == "failed"
    assert "Seed 1: says: false as told" in torn.trouble


@pytest.mark.parametrize("error", [LoadError("install it"), MissingExtraError("install it")])
def test_what_is_missing_is_not_run_and_never_passed(monkeypatch, tmp_path, error):
    with_claim(monkeypatch, run=raising(error))
    run = perform(task(tmp_path))
    assert (run.status, run.reason, run.verdict) == ("not run", "install it", None)
    assert entry(claim("neuron"), [run]).word == "not run"
    assert not (tmp_path / "runs").exists()


def test_what_breaks_down_says_where(monkeypatch, tmp_path):
    with_claim(monkeypatch, run=raising(ZeroDivisionError("by zero")))
    run = perform(task(tmp_path))
    assert run.status == "error"
    assert "ZeroDivisionError: by zero (test_runner.py, line" in run.reason
    assert entry(claim("neuron"), [run]).word == "failed"


def test_a_figure_that_breaks_down_is_not_passed_either(monkeypatch, tmp_path):
    with_claim(monkeypatch, draw=lambda result, figure: 1 / 0)
    assert perform(task(tmp_path, draws=True)).status == "error"


def test_a_check_that_is_not_a_number_fails():
    assert not Check("x", float("nan")).passed
    assert Check("x", 3.0).passed
    assert bounds(Check("x", 3.0, low=2)) == "≥ 2"


def test_first_seeds_come_first_and_heavy_claims_get_one():
    planned = tasks(["neuron", "lottery", "cover"], Path())
    assert [(each.claim, each.seed) for each in planned] == [
        ("lottery", 0), ("neuron", 0), ("cover", 0), ("neuron", 1), ("cover", 1), ("neuron", 2), ("cover", 2),
    ]  # fmt: skip
    assert [each.draws for each in planned] == [True] * 3 + [False] * 4
    assert {each.seed for each in tasks(["neuron"], Path(), budget="quick")} == {0}
    assert [each.seed for each in tasks(["lottery"], Path(), seeds=[5, 6])] == [5, 6]
    assert set(HEAVY) <= {name for names in SECTIONS.values() for name in names}


def test_two_workers_bring_every_run_and_closing_early_ends_them(tmp_path):
    planned = tasks(["neuron", "xor_by_hand"], tmp_path, budget="quick", seeds=range(8), films=False)
    others = set(active_children())  # other tests of this worker may have processes of their own
    ending = together(planned, n_workers=2)
    runs = [next(ending) for _ in range(6)]
    assert len({*active_children()} - others) == 2
    ending.close()
    assert not {*active_children()} - others
    assert {(run.claim, run.seed) for run in runs} <= {(each.claim, each.seed) for each in planned[:8]}
    assert {run.status for run in runs} == {"passed"}
    assert len(list((tmp_path / "runs").glob("*.safetensors"))) >= 6
    drawn = {path.name for path in (tmp_path / "figures").glob("[!.]*g")}
    assert {"neuron-quick-0.png", "neuron-quick-0.svg"} <= drawn  # the other may have been on its way
    assert drawn <= {f"{name}-quick-0.{kind}" for name in ("neuron", "xor_by_hand") for kind in ("png", "svg")}
    alone = perform(replace(planned[0], fresh=True, folder=tmp_path / "alone"))
    same = next(run for run in runs if (run.claim, run.seed) == ("neuron", 0))
    for check, other in zip(alone.verdict.checks, same.verdict.checks, strict=True):
        assert (check.what, check.measured) == (other.what, pytest.approx(other.measured, abs=1e-12))


def test_a_worker_that_dies_takes_only_its_task_with_it():
    class Dead(BaseProcess):
        exitcode = -9

        def __init__(self):
            pass

        def join(self):
            pass

    ours, theirs = Pipe()
    theirs.close()
    run = runner._Hand(Dead(), ours, Task("neuron", 4, "quick", Path())).take_run()
    assert (run.status, run.seed) == ("error", 4)
    assert "status -9" in run.reason


def test_json_has_no_infinities():
    run = Run("neuron", 0, "quick", "passed", verdict=Verdict("holds", "t", (Check("x", 1.0), Check("y", 2.0, 0, 3))))
    checks = plain(entry(claim("neuron"), [run]))["runs"][0]["checks"]
    assert checks[0] == {"what": "x", "measured": 1.0, "low": None, "high": None, "passed": True, "reason": ""}
    assert checks[1]["high"] == 3
