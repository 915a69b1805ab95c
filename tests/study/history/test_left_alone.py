"""Runs that look like a fault and are none are left alone, and what is said of real ones is true."""

import numpy as np
import pytest

from unbend.study.history.rules import judge
from unbend.study.history.values import AboutRun, RunHistory, Snapshot, WatchedLayer

LAYERS = tuple(
    WatchedLayer(name, kind, "M", (8,), is_output=name == "c")
    for name, kind in zip("abc", ("affine", "activation", "affine"), strict=True)
)
RNG = np.random.default_rng(0)


def history(loss, *, every=10, layer=None, **values):
    """A run with these losses, other numbers of the network, and numbers of its three layers as `a_update=…`."""
    usual = {"gradient": 0.1, "weight": 1.0, "update": 1e-3, "rms": 1.0, "silent": 0.0}
    n = len(loss)
    each = {"loss": loss, "gradient": 0.2, "learning_rate": 0.1} | values
    of_layers = {name: dict(usual) for name in "abc"} | (layer or {})
    return RunHistory(AboutRun(layers=LAYERS), tuple(
        Snapshot(1 + every * i, float(i), {what: float(np.broadcast_to(v, n)[i]) for what, v in each.items()},
                 {name: {what: float(np.broadcast_to(v, n)[i]) for what, v in (usual | found).items()}
                  for name, found in of_layers.items()})
        for i in range(n)
    ))  # fmt: skip


def loud(run):
    return [(one.step, one.finding.rule) for one in judge(run) if one.finding.severity != "note"]


def noise(n, size=0.01):
    return size * RNG.standard_normal(n)


FLAT = 1.39 + noise(40)
ALONE = {
    "a network that is tuned further has no way to fall": history(7e-4 + noise(40, 1e-5), accuracy=0.99, majority=0.26),
    "two hundred steps are not over yet": history(FLAT[:25], every=5),
    "the rate is still warming up": history(FLAT[:25], learning_rate=np.linspace(0.01, 1, 25)),
    "a duel of two networks": history(1.35 + 0.2 * np.sin(np.arange(40) / 6) + noise(40)),
    "a plateau that is being left": history(np.r_[0.70 - 0.0002 * np.arange(24), 0.69 - 0.0025 * np.arange(12)]),
    "every sample is fitted": history(np.geomspace(1, 1e-7, 40), gradient=np.geomspace(1, 1e-9, 40)),
    "means over positions that are alike, of maps that are not": history(
        np.geomspace(1, 0.01, 40),
        accuracy=0.98,
        majority=0.26,
        layer={"b": {"rank": np.r_[np.full(9, 7), np.full(31, 1.1)]}},
    ),
    "an output in its own units": history(np.geomspace(4e10, 5e7, 40), layer={"c": {"rms": 2e5}}),
}


@pytest.mark.parametrize("name", ALONE)
def test_a_run_that_only_looks_like_a_fault_is_left_alone(name):
    assert loud(ALONE[name]) == []


def test_the_faults_that_look_like_these_are_named():
    found = dict(loud(history(FLAT, accuracy=0.25, majority=0.25)))
    assert found == {201: "loss_not_falling"}
    assert loud(history(FLAT[:30], learning_rate=np.r_[np.linspace(0.01, 1, 5), np.ones(25)])) == [
        (231, "loss_not_falling")
    ]
    assert "vanishing_gradient" in dict(map(reversed, loud(history(FLAT, gradient=np.geomspace(1, 1e-9, 40)))))
    alike = history(FLAT, accuracy=0.3, majority=0.26, layer={"b": {"rank": np.r_[np.full(9, 7), np.full(31, 1.1)]}})
    assert (91, "collapse") in loud(alike)
    rises = history(np.geomspace(1, 1.2, 40), layer={"c": {"rms": 2e5}})
    assert (1, "scale_out_of_range") in loud(rises)
    still = history(np.r_[1.3, 1.1, 0.9, 0.693 + noise(37, 0.003)], accuracy=0.5 + noise(40), majority=0.51)
    told = [one.finding.title for one in judge(still) if one.finding.rule == "loss_not_falling"]
    assert told == [f"The loss stands still at {np.mean(still.value('loss')[-3:]):.3g} after 391 steps."]


def test_a_jump_is_no_oscillation_before_it():
    loss = np.r_[0.4 + noise(30, 0.02), 4 + noise(30, 1.5)]
    at = [
        one.step for one in judge(history(loss, layer={"b": {"update": 0.1}})) if one.finding.rule == "oscillating_loss"
    ]
    assert at
    assert min(at) >= 301, at


def test_a_gradient_that_is_lost_in_rounding_is_not_said_to_miss_its_optimiser():
    run = history(1 / np.arange(1, 41), layer={"a": {"update": 0.0, "gradient": 1e-10}})
    said = [one.finding for one in judge(run) if one.finding.rule == "unchanged_weights"]
    assert [one.layer for one in said] == ["a"]
    assert "too small to be felt" in said[0].evidence
    assert "Hand all parameters" not in said[0].advice
    held = judge(history(1 / np.arange(1, 41), layer={"a": {"update": 0.0}}))
    assert any("the optimiser does not hold it" in one.finding.evidence for one in held)


def test_a_rate_that_is_too_small_is_told_once_and_not_by_layer():
    run = history(FLAT, layer={name: {"update": 1e-10} for name in "abc"})
    said = [one.finding for one in judge(run) if one.finding.rule == "update_ratio"]
    assert [(one.layer, one.title.partition(",")[0]) for one in said] == [(None, "Steps hardly move 3 layers")]


def test_layers_of_a_dead_network_have_not_settled():
    layer = {"a": {"update": 1e-7, "gradient": 1e-9}, "b": {"update": 1e-2}}
    assert not [one for one in judge(history(FLAT, layer=layer)) if one.finding.rule == "settled"]
    assert [one for one in judge(history(np.geomspace(1, 0.1, 40), layer=layer)) if one.finding.rule == "settled"]


@pytest.mark.parametrize(("read", "is_said"), [((0.30, 0.28, 0.27), False), ((0.8, 0.79, 0.8), True)])
def test_where_separability_stops_is_said_above_chance_and_once_it_stays(read, is_said):
    readouts = {name: {"readout": value} for name, value in zip("abc", read, strict=True)}
    assert bool(stops(history(np.geomspace(1, 0.1, 40), layer=readouts, majority=0.26, accuracy=read[-1]))) == is_said
    rising = {name: {"readout": np.linspace(0.3, value, 40)} for name, value in zip("abc", read, strict=True)}
    assert not stops(history(np.geomspace(1, 0.1, 40), layer=rising, majority=0.26, accuracy=read[-1]))
    better = history(np.geomspace(1, 0.1, 40), layer=readouts, majority=0.26, accuracy=0.95)
    assert not stops(better), "layers behind it that do better than a read-out of it are there for something"
    assert not stops(history(np.geomspace(1, 0.1, 40), layer=readouts, majority=0.26)), "no class is named at all"


def stops(run):
    return [one for one in judge(run) if one.finding.rule == "separability_stops"]
