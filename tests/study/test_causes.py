"""Causes that an examination shows: each told on one side of its threshold, and not on the other."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from examinations import NAN, confusion, examination, trials, weights
from torch import nn

from unbend.explain.setup import setup
from unbend.numerics.moments import Moments
from unbend.numerics.view import View
from unbend.study.examine.passages import passages
from unbend.study.examine.values import Passage
from unbend.study.examine.weights import ran
from unbend.study.findings import findings
from unbend.study.values import About, Layer

PLAIN = View("features", "none", 4)
ILL = {"train": 0.55, "held_out": 0.5}


def found(x, *layers, k=4):
    """What is said of an examination, the leading cause first."""
    names = tuple(f"class {i}" for i in range(k))
    about = About("net", "data", "", "classification" if k else "regression", names, 1000, 1000, 99, "")
    return findings(about, layers, {"examination": x})


def lead(x, *layers, k=4):
    """Rule and severity of the leading finding; None where nothing is loud."""
    loud = [(f.rule, f.severity) for f in found(x, *layers, k=k) if f.severity in ("problem", "warning")]
    return loud[0] if loud else None


def test_a_network_that_does_as_well_as_can_be_is_left_in_peace():
    assert found(examination()) == ()


def test_a_class_never_called_leads_where_that_is_all_the_network_falls_short_by():
    going_on = {"trials": trials(on=0.95), "scores": {"train": 0.73, "held_out": 0.72}}
    never = {"counts": np.full(4, 250), "confusion": confusion(0.96, 0.96, 0.96, 0.0)}
    assert lead(examination(rows=never, **going_on)) == ("missing_class", "problem")
    also = never | {"confusion": confusion(0.8, 0.8, 0.8, 0.0)}
    assert lead(examination(rows=also, **going_on)) == ("under_fitted", "problem")
    assert lead(examination(rows=also, scores={"train": 0.62, "held_out": 0.6})) == ("missing_class", "warning")
    assert lead(examination(rows=never)) is None, "no reference does better"


def test_a_class_of_which_no_row_was_shown_in_training_is_a_problem_anyway():
    rows = {"counts": np.array([300, 300, 300, 0]), "confusion": confusion(1.0, 1.0, 1.0, 0.0)}
    assert lead(examination(rows=rows)) == ("missing_class", "problem")


def noisy(noise, inside, **scores):
    rows = {"noise": noise, "in_train": inside, "in_held_out": inside, "noise_held_out": noise}
    return examination(rows=rows, scores={"train": 0.9, "held_out": 0.66, "linear": 0.75, "curved": 0.5, **scores})


def test_labels_that_the_other_rows_contradict_are_noise_and_come_before_over_fitting():
    assert lead(noisy(0.2, 0.75)) == ("noisy_labels", "problem")
    (first, *_) = found(noisy(0.2, 0.75))
    assert first.title == "Many training labels are wrong: label noise of about 20 %."
    assert "10 % of the training labels are contradicted" in first.evidence
    assert "among the held-out labels about 20 %" in first.evidence


@pytest.mark.parametrize(("noise", "inside", "why"), [
    (0.09, 0.8, "within the error of that estimate"),
    (0.25, 0.5, "trees cannot tell the rest, so what they contradict is no evidence"),
    (NAN, 0.8, "not asked for"),
])  # fmt: skip
def test_what_is_only_hard_is_not_called_noise(noise, inside, why):
    assert lead(noisy(noise, inside)) == ("over_fitted", "problem"), why


def test_noise_that_was_not_learned_by_heart_costs_nothing():
    assert lead(noisy(0.2, 0.75, train=0.7, held_out=0.72)) is None


@pytest.mark.parametrize("train", [0.3, 0.7])
def test_a_network_that_tells_its_own_rows_worse_than_trees_do_does_not_fall_short_by_noise(train):
    assert lead(noisy(0.2, 0.75, train=train, held_out=train - 0.2)) != ("noisy_labels", "problem")


def test_a_network_that_is_better_on_rows_it_has_not_seen_was_trained_on_wrong_labels():
    def better(train, *, apart=0.5, n=1000, **more):
        rows = {"counts": np.full(2, n // 2), "apart": apart}
        scores = {"train": train, "held_out": 0.8, "linear": 0.8, "curved": 0.7}
        return examination(scores=scores, rows=rows, n_train=n, n_held_out=n, **more)

    (first, *_) = found(better(0.62), k=2)
    assert (first.rule, first.severity) == ("noisy_labels", "warning")
    assert first.title == "Many training labels are wrong: label noise of about 30 %."  # .8 * .7 + .2 * .3 = .62
    assert "the harder ones" in first.evidence
    assert lead(better(0.73), k=2) is None, "within the errors of both parts"
    assert lead(better(0.68, n=300), k=2) is None, "few rows"
    assert lead(better(0.62, apart=NAN), k=2) is None, "whether the parts are alike is not known"
    assert lead(better(0.62, is_declared=False), k=2) is None, "which rows it was trained on is not known"


def test_labels_of_a_regression_have_no_noise_of_this_kind():
    assert lead(noisy(0.2, 0.75), k=0) != ("noisy_labels", "problem")


def test_a_bounded_loss_does_not_suit_classes():
    bounded = examination(scores=ILL, output={"loss_climb": 0.001})
    assert lead(bounded) == ("squared_error", "warning")
    assert found(bounded)[0].title == (
        "The loss does not suit the task: it is bounded, as a squared error on class probabilities is."
    )
    assert lead(examination(scores=ILL, output={"loss_climb": 0.9})) is None
    assert lead(examination(output={"loss_climb": 0.001})) is None, "the network does well"


def test_small_weights_lead_where_a_fresh_copy_trains_and_this_network_does_not():
    small = tuple(weights(name, 0.4) for name in "abc")
    assert lead(examination(scores=ILL, weights=small, trials=trials(on=0.6, fresh=0.8))) == (
        "small_weights",
        "problem",
    )
    assert lead(examination(scores=ILL, weights=small, trials=trials(on=0.8, fresh=0.8)))[0] == "under_fitted"
    usual = tuple(weights(name, 0.6) for name in "abc")
    assert lead(examination(scores=ILL, weights=usual, trials=trials(on=0.6, fresh=0.8)))[0] == "under_fitted"


def test_weights_near_zero_are_told_without_a_trial():
    assert lead(examination(scores=ILL, weights=(weights("a", 0.1), weights("b", 0.1)))) == (
        "shrunk_weights",
        "problem",
    )


def test_large_weights_in_every_layer_are_blown_up_and_in_one_only_drawn_too_large():
    how = {"scores": ILL, "trials": trials(fresh=0.9)}
    (first, *_) = found(examination(weights=tuple(weights(n, 40.0) for n in "abc"), **how))
    assert (first.rule, first.advice.partition(";")[0]) == ("large_weights", "Lower the learning rate")
    (first, *_) = found(examination(weights=(weights("a", 40.0), weights("b", 40.0), weights("c", 1.5)), **how))
    assert (first.layer, first.advice) == ("a", "Initialise with smaller weights.")
    (first, *_) = found(examination(weights=(weights("head", 40.0),), **how))  # behind recurrent layers
    assert first.title == "The weights have blown up: at layer head 40 times those of a usual draw."


def test_batch_statistics_that_suit_the_held_out_rows_only_are_no_stale_ones():
    rows = {"apart": 0.99, "in_train": 0.95, "in_held_out": 0.95}
    how = {"norm_layer": "a", "on_batch_statistics": 0.8, "scores": {"train": 0.95, "held_out": 0.2}}
    assert lead(examination(rows=rows, train_on_batch_statistics=0.96, **how)) == ("shifted", "problem")
    stale = how | {"scores": {"train": 0.3, "held_out": 0.2}}
    assert lead(examination(train_on_batch_statistics=0.96, **stale)) == ("stale_norm", "problem")


def test_sigmoids_before_a_softmax_are_told_at_any_number_of_outputs():
    taken = {"end": "sigmoid", "low": 0.0, "loss_one_hot": 1.3, "loss_sure": 0.0}
    (first, *_) = found(examination(output=taken))
    assert (first.rule, first.title.endswith("a softmax follows the sigmoid.")) == ("applied_twice", True)


def moments(std, *, n=1000, bad=0):
    spread = np.full(4, float(std))
    return Moments(
        n=n, mean=np.zeros(4), std=spread, low=-spread, high=spread, nonfinite=np.array([bad, 0, 0, 0]), rms=float(std)
    )


def layer(name, fed, kind="affine", std=1.0, bad=0):
    results = {"moments": moments(std, bad=bad)}
    return Layer(name, kind, "Linear", (4,), PLAIN, results, feeders=tuple(fed.split()))


def residual(std, *, stem=1.0):
    return (layer("input", "", "input"), layer("stem", "input", std=stem), layer("a", "stem"),
            layer("b", "a", std=std), layer("act", "stem b", "activation"), layer("head", "act"))  # fmt: skip


def test_a_branch_that_hardly_varies_does_nothing():
    (first, *_) = found(examination(scores=ILL), *residual(9e-4))
    assert (first.rule, first.severity, first.layer) == ("idle_branch", "problem", "b")
    assert first.evidence == (
        "Standard deviation of what it puts out 0.0009, of what it meets 1, and layer stem passes it by."
    )
    assert lead(examination(scores=ILL), *residual(1.1e-3)) is None
    assert lead(examination(), *residual(0.0)) is None, "the network does well"
    assert [f.rule for f in found(examination(), *residual(0.0))] == ["idle_branch"]


def test_what_meets_an_exploding_branch_is_not_idle():
    assert lead(examination(scores=ILL), *residual(1e5)) is None
    assert lead(examination(scores=ILL), *residual(1.0, stem=1e-9)) is None, "the branch starts from it"


def test_infinite_values_in_half_precision_with_finite_weights_are_an_overflow():
    lost = layer("a", "input", bad=3)
    (first, *_) = found(examination(scores=ILL, precision="float16", weights=(weights("a"),)), lost)
    assert (first.rule, first.layer) == ("overflow", "a")
    assert first.evidence.endswith("All weights are finite; float16 ends at 65,504.")
    (first, *_) = found(examination(scores=ILL, precision="float32", weights=(weights("a"),)), lost)
    assert first.rule == "nonfinite"
    (first, *_) = found(examination(scores=ILL, precision="float16", weights=(weights("a", is_finite=False),)), lost)
    assert first.rule == "diverged"


def pooled(before, after, *, by_trees, **tried):
    one = Passage(layer="pool", kind="pool", before=before, after=after, units=4, positions=1, by_trees=by_trees)
    return examination(scores=ILL, passages=(one,), trials=trials(**tried))


def test_what_only_trees_miss_behind_a_pool_counts_where_training_on_does_not_help():
    assert lead(pooled(0.8, 0.74, by_trees=False)) == ("narrow_passage", "problem")
    assert lead(pooled(0.8, 0.65, by_trees=True, on=0.5, fresh=0.52)) == ("narrow_passage", "problem")
    assert lead(pooled(0.8, 0.67, by_trees=True, on=0.5, fresh=0.52)) is None
    assert lead(pooled(0.8, 0.5, by_trees=True, on=0.5, fresh=0.94)) is None, "a fresh copy gets there"
    assert lead(pooled(0.8, 0.5, by_trees=True)) is None, "nothing was tried"


@pytest.mark.parametrize("kind", [nn.GRU, nn.LSTM, nn.RNN])
def test_a_recurrent_layer_that_is_too_narrow_is_named(kind):
    class Reader(nn.Module):
        def __init__(self, width):
            super().__init__()
            self.cell, self.head = kind(8, width, batch_first=True), nn.Linear(width, 6)

        def forward(self, x):
            return self.head(self.cell(x)[0][:, -1])

    def asked(width):
        generator = torch.Generator().manual_seed(0)
        y = torch.arange(600) % 6
        x = torch.randn(600, 5, 8, generator=generator) / 2
        x[torch.arange(600), 2, y] += 3
        torch.manual_seed(0)
        with setup(Reader(width), (x[:400], y[:400]), held_out=(x[400:], y[400:])) as made:
            return passages(made.subject, ran(made.subject), "head")

    (passage,) = asked(1)
    assert (passage.layer, passage.kind, passage.units, passage.positions) == ("cell", "recurrent", 1, 5)
    assert passage.after < passage.before - 0.2
    assert asked(8) == ()


def test_shuffled_targets_of_a_regression_are_told_as_those_of_classes():
    x = examination(
        scores={"train": 0.9, "held_out": -0.3, "majority": 0.0, "linear": -0.1, "curved": 0.0, "margin": 0.07},
        rows={"in_train": -0.02, "in_held_out": 0.01, "majority_train": 0.0},
    )
    assert lead(x, k=0) == ("shuffled_labels", "problem")
    assert "most frequent class" not in found(x, k=0)[0].evidence
    less = replace(x, scores=replace(x.scores, train=0.16, held_out=-0.13))
    assert lead(less, k=0) == ("shuffled_labels", "problem")
    assert lead(replace(x, scores=replace(x.scores, train=0.06)), k=0) == ("shuffled_labels", "problem")
    assert lead(replace(x, scores=replace(x.scores, train=0.05, held_out=-0.1)), k=0) == ("over_fitted", "problem")


def test_a_column_that_tells_a_target_is_a_leak_with_its_r2():
    (first, *_) = found(examination(rows={"leak": 2, "leak_score": 0.991}), k=0)
    assert (first.rule, first.evidence) == ("leak", "A tree on this column has a held-out R² of 0.991.")
    assert first.title.startswith("Input column 2 alone tells")
    (named, *_) = found(examination(rows={"leak": 2, "leak_score": 0.991, "leak_name": "dose"}), k=0)
    assert named.title.startswith("Input column \u201cdose\u201d alone tells")


def test_a_network_that_beats_simple_references_is_under_fitted_only_by_much():
    assert lead(examination(trials=trials(on=0.95 + 0.09), scores={"train": 0.9})) is None
    assert lead(examination(trials=trials(on=0.95 + 0.11), scores={"train": 0.9}))[0] == "under_fitted"
