"""What is said of runs that people have every day: nothing of those that go well, the cause of those that do not."""

import numpy as np
import pytest
import torch
from tests.study.history.planted import mlp
from tests.study.history.test_left_alone import history, loud
from torch import nn
from torch.nn import functional as F

import unbend
from unbend.study.history.rules import judge
from unbend.study.history.values import RunEvent, RunHistory

N = 40
RNG = np.random.default_rng(5)
FALLS = np.geomspace(2.3, 0.1, N)
STANDS = 2.3 + 0.01 * RNG.standard_normal(N)
LEARNT = {"accuracy": np.linspace(0.2, 0.97, N), "majority": 0.11}


def steps(*parts):
    """Values, each for so many snapshots."""
    return np.concatenate([np.full(n, value) for value, n in parts])


def said(run, rule):
    return [one for one in judge(run) if one.finding.rule == rule]


WELL = {
    "units that fell silent in the first steps of a run that learns": history(
        FALLS, layer={"b": {"silent": steps((0.1, 2), (0.75, 38))}}
    ),
    "units that fell silent and came back": history(
        STANDS - 0.03 * np.arange(N), layer={"b": {"silent": steps((0.1, 9), (0.8, 3), (0.1, 28))}}
    ),
    "an autoencoder that first learns the mean": history(
        FALLS, layer={"b": {"rank": steps((4.1, 4), (1.05, 4), (1.8, 32))}}
    ),
    "prices from one direction": history(FALLS, layer={"b": {"rank": steps((11, 4), (1.1, 36))}}),
    "a class that is learnt last": history(
        FALLS, accuracy=np.linspace(0.2, 0.97, N), majority=0.11, recall=steps((0.0, 24), (0.8, 16))
    ),
    "a class that is still being learnt": history(
        FALLS, accuracy=np.linspace(0.2, 0.97, N), majority=0.11, recall=0.0
    ),
    "classes one after another": history(FALLS, balance=np.linspace(0.01, 0.5, N), majority=0.3),
    "first steps of more than half of the weights": history(
        FALLS, layer={"c": {"update": steps((0.7, 3), (1e-3, 37))}}
    ),
    "a sigmoid that is sure of its answers": history(
        FALLS, layer={"c": {"silent": 0.0, "saturated": steps((0.0, 20), (1.0, 20))}}, **LEARNT
    ),
    "a generator's loss": history(
        0.8 + 0.4 * np.sin(np.arange(N) / 3 - 1.5), gradient=1.5 + 1.2 * np.sin(np.arange(N) / 3 - 2)
    ),
    "a critic's loss": history(-0.05 + 0.05 * np.cos(np.arange(N) / 6), gradient=0.2),
    "a discriminator's loss": history(0.69 + 0.005 * RNG.standard_normal(N), micro_batches=3.0),
    "single samples, slowly": history(
        np.r_[2.4, 2.3, 2.2, np.linspace(2.1, 2.0, 27)], accuracy=steps((0.0, 30)), majority=0.14, every=30
    ),
    "overlap with a sign, behind a sigmoid": history(
        -np.linspace(0.3, 0.95, N), layer={"c": {"rms": 0.6}}, accuracy=0.5, majority=0.5
    ),
    "a softmax before NLL": history(FALLS, layer={"c": {"rms": np.linspace(0.36, 0.7, N)}}, **LEARNT),
}  # fmt: skip


@pytest.mark.parametrize("name", WELL)
def test_a_run_that_goes_well_is_accused_of_nothing(name):
    assert loud(WELL[name]) == []


def test_units_that_fall_silent_are_a_problem_where_the_run_is_shaken_or_stands_still():
    layer = {"b": {"silent": steps((0.1, 10), (0.75, 30))}}
    shaken = history(np.r_[FALLS[:10], 3 * FALLS[9], FALLS[10:-1]], layer=layer)
    for run in (history(STANDS, layer=layer), history(np.r_[FALLS[:10], 4 * FALLS[10:]], layer=layer), shaken):
        assert [(one.step, one.finding.severity) for one in said(run, "dying_units")] == [(101, "problem")]
    (harmless,) = said(history(FALLS, layer=layer), "dying_units")
    assert harmless.finding.severity == "note"
    assert "took no harm" in harmless.finding.evidence


def test_a_class_that_stays_unread_is_named_once_the_others_are_learnt():
    accuracy = np.r_[np.linspace(0.2, 0.84, 10), 0.84 + 0.02 * RNG.standard_normal(30)]
    (found,) = said(history(FALLS, accuracy=accuracy, majority=0.11, recall=0.0, weakest=7.0), "unread_class")
    assert found.finding.title.startswith("Class 7 is hardly ever recognised, although 8")


def test_classes_that_are_few_are_a_note_where_each_is_recognised():
    rare = {"balance": 0.02, "majority": 0.97}
    assert [one.finding.severity for one in said(history(FALLS, recall=0.9, **rare), "class_imbalance")] == ["note"]
    assert [one.finding.severity for one in said(history(FALLS, recall=0.2, **rare), "class_imbalance")] == ["warning"]


def test_a_loss_that_stands_still_after_too_large_steps_is_not_told_to_take_larger_ones():
    layer = {"b": {"silent": steps((0.1, 2), (1.0, 38))}}
    (dead,) = said(history(STANDS, layer=layer), "loss_not_falling")
    (slow,) = said(history(STANDS), "loss_not_falling")
    assert "a tenth" in dead.finding.advice
    assert "tenfold" in slow.finding.advice


def test_a_layer_without_any_gradient_is_not_told_of_the_optimiser():
    run = history(FALLS, layer={"a": {"gradient": 0.0, "update": 0.0}})
    (found,) = said(run, "vanishing_gradient")
    assert "detach()" in found.finding.advice
    assert all("optimiser" not in one.finding.advice for one in said(run, "unchanged_weights"))


def test_small_steps_uphill_are_told_as_that():
    rises = np.r_[2.3, 2.31, 2.3, 2.3 * np.geomspace(1, 500, N - 3)]
    (uphill,) = said(history(rises, gradient=np.geomspace(0.2, 100, N)), "diverging")
    assert "maximize=True" in uphill.finding.advice
    (thrown,) = said(history(rises, gradient=np.geomspace(0.2, 100, N), layer={"b": {"update": 0.4}}), "diverging")
    assert "lower the learning rate" in thrown.finding.advice
    assert "maximize" not in thrown.finding.advice


def test_nothing_is_said_of_units_in_steps_that_are_not_finite():
    run = history(np.r_[FALLS[:20], np.full(20, np.nan)], layer={"b": {"silent": steps((0.1, 20), (1.0, 20))}})
    broken = RunHistory(run.about, run.snapshots, (RunEvent(201, 1.0, "non-finite", "b"),))
    assert [(one.step, one.finding.rule) for one in judge(broken)] == [(201, "not_finite")]


X = torch.randn(512, 8, generator=torch.Generator().manual_seed(0))
CLASS = X[:, :4].argmax(1)


def train(model, loss, *, n=240):
    torch.manual_seed(1)
    optimiser = torch.optim.Adam(model.parameters(), 1e-2)
    with unbend.watch(model, every=6, budget=None) as watch:
        for _ in range(n):
            rows = torch.randint(0, len(X), (64,))
            value, y = loss(model(X[rows]), CLASS[rows])
            optimiser.zero_grad()
            value.backward()
            watch.label(y)
            watch.log(loss=value)
            optimiser.step()
    return watch


def twice(out, y):
    return F.cross_entropy(out, y), y


def once(out, y):
    return F.nll_loss(out.clamp_min(1e-9).log(), y), y


def ascent(out, y):
    y = (y > 1).float()
    return -F.binary_cross_entropy(out[:, 0], y), y


@pytest.mark.parametrize(("loss", "is_twice"), [(twice, True), (once, False)])
def test_a_softmax_that_is_made_twice_is_named(loss, is_twice):
    watch = train(nn.Sequential(*mlp(8, 32, 4), nn.Softmax(1)), loss)
    assert bool(said(watch.history, "softmax_twice")) == is_twice
    assert is_twice or loud(watch.history) == []


def test_ascent_that_ends_at_the_floor_of_a_clamped_logarithm_is_named():
    watch = train(nn.Sequential(*mlp(8, 32, 1), nn.Sigmoid()), ascent)
    assert [one.step for one in said(watch.history, "negated_loss")] == [1]


class Bent(nn.Module):
    def __init__(self, end):
        super().__init__()
        self.first, self.last, self.end = nn.Linear(8, 16), nn.Linear(16, 4), end

    def forward(self, x):
        return self.end(self.last(torch.relu(self.first(x))))


@pytest.mark.parametrize("end", [torch.sigmoid, torch.tanh, F.relu, lambda x: F.softmax(x, 1)])
def test_an_activation_that_is_called_at_the_end_is_the_output(end):
    torch.manual_seed(0)
    history = train(Bent(end), lambda out, y: (F.mse_loss(out, F.one_hot(y, 4).float()), y), n=120).history
    assert [layer.shape for layer in history.about.layers if layer.is_output] == [(4,)]
    assert history.value("accuracy")[-3:].mean() > 0.5
    assert not any("not read" in note for note in history.about.notes)
