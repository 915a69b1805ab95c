"""Planted runs are named, at the right step; runs with nothing wrong are left alone."""

import json

import numpy as np
import pytest
from tests.children import start
from tests.study.history import kinds
from tests.study.history.planted import RUNS, accused, healthy
from tests.turns import share

from unbend.study.history.rules import RUN_RULES, judge
from unbend.study.history.values import AboutRun, RunHistory, Snapshot

SAGEMAKER = {
    "dead_relu": "dying_units", "saturated_activation": "saturating_units", "vanishing_gradient": "vanishing_gradient",
    "exploding_tensor": "not_finite", "weight_update_ratio": "update_ratio", "unchanged_tensor": "unchanged_weights",
    "poor_weight_initialization": "poor_start", "all_zero": "all_zero", "tensor_variance": "scale_out_of_range",
    "overfit": "over_fit_onset", "overtraining": "over_training", "loss_not_decreasing": "loss_not_falling",
    "class_imbalance": "class_imbalance", "confusion": "unread_class",
}  # fmt: skip
AUTOTRAINER = {
    "vanishing gradient": "vanishing_gradient", "exploding gradient": "exploding_gradient", "dying ReLU": "dying_units",
    "oscillating loss": "oscillating_loss", "slow convergence": "slow_convergence",
}  # fmt: skip


@pytest.mark.parametrize("name", RUNS)
def test_a_planted_fault_is_named_at_its_step_and_layer(name):
    planted = RUNS[name]
    watch = planted.run()
    found = [one for one in watch.findings if one.finding.rule == planted.rule]
    assert found, [(one.step, one.finding.rule) for one in watch.findings]
    if planted.step is not None:
        steps = watch.history.steps
        first = int(np.searchsorted(steps, planted.step))
        near = steps[max(first - 1, 0) : first + 2]
        assert any(near[0] <= one.step <= near[-1] for one in found), [one.step for one in found]
    if planted.layer is not None:
        assert planted.layer in {one.finding.layer for one in found}


def test_fifty_runs_with_nothing_wrong_are_left_alone():
    """A third of them with each change, each network and each optimiser among them.

    In a process without checks of types, which take most of the time of so many runs.
    """
    fifty = [name for name, *_ in healthy()]
    assert len(fifty) == len(set(fifty)) == 50
    chosen = share(fifty, 3)
    for part in (0, 1):  # of a name: network, optimiser
        assert {name.split("-")[part] for name in chosen} == {name.split("-")[part] for name in fifty}
    done = start(accused, set(chosen)).ended()
    assert done.returncode == 0, done.stderr
    runs = [json.loads(line) for line in done.stdout.splitlines()]
    assert [run["name"] for run in runs] == chosen
    assert {run["name"]: run["accused"] for run in runs if run["accused"]} == {}
    assert all(run["accuracy"] > 0.85 for run in runs)
    assert all(run["n"] == 30 for run in runs)


def test_runs_with_nothing_wrong_that_are_no_classifiers_are_left_alone_too():
    """A half of them with each change; of the negative losses each falls as far as its kind can."""
    chosen = share(list(kinds.KINDS), 2)
    done = start(kinds.accused, set(chosen)).ended()
    assert done.returncode == 0, done.stderr
    runs = [json.loads(line) for line in done.stdout.splitlines()]
    assert [run["name"] for run in runs] == chosen
    assert {run["name"]: run["accused"] for run in runs if run["accused"]} == {}
    assert all(run["last"] < min(run["first"], 0) or run["last"] < 0.5 * run["first"] for run in runs), runs


def test_every_rule_of_sagemaker_and_every_symptom_of_autotrainer_has_a_planted_run():
    planted = {run.rule for run in RUNS.values()} | {"over_training"}
    assert {*SAGEMAKER.values(), *AUTOTRAINER.values()} <= planted


def test_validation_that_no_longer_gets_better_is_told():
    losses = [1.0, 0.6, 0.4, 0.35, *[0.36] * 10]
    snapshots = tuple(
        Snapshot(10 * i, float(i), {"loss": 1 / (i + 1), "validation_loss": loss}, {}) for i, loss in enumerate(losses)
    )
    found = judge(RunHistory(AboutRun(), snapshots))
    assert [(one.step, one.finding.rule, one.finding.severity) for one in found] == [(30, "over_training", "note")]


def test_an_empty_history_has_no_findings():
    assert judge(RunHistory(AboutRun())) == ()
    assert all(not list(rule(RunHistory(AboutRun()))) for rule in RUN_RULES)


def test_what_is_found_while_the_run_goes_on_is_what_is_found_in_the_end():
    watch = RUNS["units die in one bad step"].run()
    live = {(one.step, one.finding.rule, one.finding.layer) for one in watch.findings}
    late = {(one.step, one.finding.rule, one.finding.layer) for one in judge(watch.history)}
    assert (81, "dying_units", "1") in live & late
