"""Rules on both sides of their thresholds: a study made by hand, each number just above or just below."""

from dataclasses import replace

import numpy as np
import pytest

from unbend.numerics.gradient import Gradients
from unbend.numerics.interval import wilson
from unbend.numerics.moments import Moments
from unbend.numerics.probe.certificate import Optimality
from unbend.numerics.probe.probes import Probe, ProbeControl, Probes
from unbend.numerics.readout import Readout
from unbend.numerics.scatter import Scatter
from unbend.numerics.view import View
from unbend.study.examine.values import Contract, DataFacts, Examination, Scores
from unbend.study.findings import findings
from unbend.study.values import About, Layer

N = 1000
K = 4
PLAIN = View("features", "none", 20)


def read(right, *, d=20, also=0, n=N):
    """A read-out of `right` of n held-out rows: the first ones, but for `also` that are taken from the end."""
    correct = np.arange(n) < right - also
    correct[n - also :] = True
    low, high = (float(end) for end in wilson(right, n))
    share = right / n
    return Readout(
        n_fit=5000, ridge=1.0, weight=np.zeros((K, d)), bias=np.zeros(K), n_train=n, train=share,
        train_interval=(low, high), n_held_out=n, held_out=share, held_out_interval=(low, high),
        control_train=0.3, control_held_out=1 / K, confusion=np.zeros((K, K), np.int64), correct=correct,
    )  # fmt: skip


def fitted(r2, *, d=20):
    nan = (np.nan, np.nan)
    return Readout(
        n_fit=5000, ridge=1.0, weight=np.zeros((2, d)), bias=np.zeros(2), n_train=N, train=r2, train_interval=nan,
        n_held_out=N, held_out=r2, held_out_interval=nan, control_train=np.nan, control_held_out=np.nan,
        confusion=None, correct=None, reader="ridge",
    )  # fmt: skip


def spread(rank, ratio):
    return Scatter(
        n=5000, n_classes=K, rank=rank, within=1.0, between=ratio, trace_ratio=ratio, fisher=1.0, fisher_raw=1.0,
        separation=1.0, counts=np.full(K, 1250),
    )  # fmt: skip


def level(rms, d=4):
    zero = np.zeros(d)
    return Moments(n=N, mean=zero, std=zero, low=zero, high=zero, nonfinite=zero.astype(np.int64), rms=float(rms))


def found(*results, rule, across=None, classes=K, output=False, fed_by=None, feeders=None, alias_of=None, view=PLAIN):
    """Findings of one rule in a study of layers with these results: the input, then a, b, c …"""
    names = ["input", *"abcdefgh"][: len(results)]
    layers = [
        Layer(name, "input" if name == "input" else "affine", "Linear", (20,),
              PLAIN if name == "input" else view, dict(made), {},
              {name: before, **(fed_by or {})}[name], output and name == names[-1],
              feeders=(feeders or {}).get(name, ()), alias_of=(alias_of or {}).get(name))
        for name, before, made in zip(names, [None, *names], results, strict=False)
    ]  # fmt: skip
    about = About("net", "data", "", "classification" if classes else "regression",
                  tuple(f"class {i}" for i in range(classes)), 5000, N, 99, "")  # fmt: skip
    return [f for f in findings(about, layers, across or {}) if f.rule == rule]


def read_outs(*rights, **how):
    return found(*({"readout": read(right)} for right in rights), **how)


def test_a_layer_that_loses_a_hundredth_is_told_and_one_that_loses_less_is_not():
    (hit,) = read_outs(900, 950, 939, rule="lost_separability")
    assert (hit.layer, hit.severity) == ("b", "note")
    assert hit.title == "Layer b loses separability: a linear read-out falls by 0.011."
    low, high = wilson(939, N)
    assert hit.evidence == (
        "Held-out accuracy of a linear discriminant: 0.950 at layer a, 0.939 at layer b "
        f"(95 % interval {low:.3f} to {high:.3f}, 1,000 held-out rows)."
    )
    assert "wide enough and its units are alive" in hit.advice
    assert "residual connection" in hit.advice
    before, just, less = ({"readout": read(right, n=10 * N)} for right in (9500, 9395, 9405))
    assert found(before, just, rule="lost_separability")
    assert not found(before, less, rule="lost_separability"), "beyond noise, but too little"
    assert not read_outs(900, 939, 950, rule="lost_separability")


def test_a_loss_on_the_way_from_the_input_names_the_input():
    (hit,) = read_outs(950, 930, rule="lost_separability")
    assert hit.evidence.startswith("Held-out accuracy of a linear discriminant: 0.950 on the input, 0.930 at layer a (")


def test_what_the_output_loses_is_no_loss_of_a_layer():
    assert read_outs(950, 900, rule="lost_separability")
    assert not read_outs(950, 900, rule="lost_separability", output=True)


def test_a_loss_is_told_only_beyond_noise_at_99_percent():
    def lost(also):
        return found({"readout": read(950)}, {"readout": read(930, also=also)}, rule="lost_separability")

    assert lost(0)
    assert not lost(50)
    sure, unsure = ({"readout": read(900 - fell, also=30)} for fell in (26, 22))
    assert found({"readout": read(900)}, sure, rule="lost_separability")
    assert not found({"readout": read(900)}, unsure, rule="lost_separability"), "95 % would do here"


def test_a_loss_of_more_than_a_twentieth_is_a_warning_where_nothing_is_known_of_the_network():
    assert [f.severity for f in read_outs(950, 901, rule="lost_separability")] == ["note"]
    assert [f.severity for f in read_outs(950, 899, rule="lost_separability")] == ["warning"]


def test_a_loss_is_told_only_along_what_feeds_a_layer():
    assert read_outs(950, 899, 800, rule="lost_separability")
    assert [f.layer for f in read_outs(950, 899, 800, rule="lost_separability", fed_by={"b": None})] == ["a"]
    assert [f.layer for f in read_outs(950, 899, 800, rule="lost_separability", feeders={"b": ("a",)})] == ["a", "b"]


def test_nothing_is_said_to_be_lost_where_something_passes_by():
    branches = {"a": ("input",), "b": ("input",)}
    assert not read_outs(950, 899, 800, rule="lost_separability", feeders=branches)
    shortcut = {"a": ("input",), "b": ("a",), "c": ("a", "b")}
    assert [f.layer for f in read_outs(950, 899, 800, 700, rule="lost_separability", feeders=shortcut)] == ["a"]
    adapter = {"a": ("input",), "b": ("input",), "c": ("b",), "d": ("a", "c")}
    assert [f.layer for f in read_outs(950, 899, 850, 800, 750, rule="lost_separability", feeders=adapter)] == ["c"]


def test_a_layer_is_not_compared_with_another_name_of_itself_nor_over_it():
    aliased = {"alias_of": {"b": "a"}, "feeders": {"b": ("a",), "c": ("b",)}}
    assert [f.layer for f in read_outs(950, 899, 899, 800, rule="lost_separability", **aliased)] == ["a", "c"]
    ended = {"alias_of": {"b": "a"}, "feeders": {"a": ("input",), "b": ("a",)}, "output": True}
    assert not read_outs(950, 800, 800, rule="lost_separability", **ended)


def test_a_layer_fed_by_what_could_not_be_seen_is_compared_with_nothing():
    assert not read_outs(950, 899, rule="lost_separability", feeders={"a": ("?",)})


def test_a_map_reduced_to_its_mean_is_not_compared_with_what_is_not():
    assert not read_outs(950, 800, rule="lost_separability", view=View("maps", "mean", 20))
    assert read_outs(950, 800, rule="lost_separability", view=View("maps", "flatten", 20))


def examined(own, *, reachable=0.95):
    """An examination of a network with this held-out score, where this one can be reached."""
    nan = float("nan")
    return Examination(
        n_train=N, n_held_out=N, is_declared=True,
        scores=Scores(train=own, held_out=own, majority=1 / K, linear=reachable, curved=reachable, margin=0.04),
        output=Contract(
            layer="a", width=K, end="", before="", before_layer=None, sums_to_one=False, is_constant=False, low=-1.0,
            high=1.0, clipped=0.0, outside=0.0, is_repeatable=True, loss_now=nan, loss_tenfold=nan, loss_one_hot=nan,
            loss_sure=nan, loss_growth=nan,
        ),
        weights=(), passages=(),
        rows=DataFacts(
            spread_low=1.0, spread_high=1.0, spread_median=1.0, size=1.0, offset=0.0, is_normalised=False, y_mean=nan,
            y_spread=nan, counts=None, confusion=None, in_train=nan, in_held_out=nan, majority_train=1 / K, apart=nan,
            copies=0.0, leak=-1, leak_score=nan,
        ),
        trials=(), is_affine=False, flat_activations=0, fresh_reach=nan, dropout=0.0, dropout_layer=None,
        on_batch_statistics=nan, norm_layer=None,
    )  # fmt: skip


@pytest.mark.parametrize(("own", "severity"), [(0.95, "note"), (0.911, "note"), (0.909, "problem")])
def test_a_symptom_of_a_network_that_does_well_is_a_note_and_of_one_that_falls_short_a_problem(own, severity):
    across = {"examination": examined(own)}
    assert [f.severity for f in read_outs(950, 850, rule="lost_separability", across=across)] == [severity]
    assert [f.severity for f in reach(1e-9, 0.1, across=across)] == [severity]


@pytest.mark.parametrize(
    ("rank", "d", "rule"),
    [(K - 2, 19, "bottleneck"), (K - 1, 19, "lost_separability"), (K - 2, 20, "lost_separability")],
)
def test_a_layer_is_too_narrow_with_fewer_directions_than_classes_need_and_fewer_units_than_before(rank, d, rule):
    results = (
        {"readout": read(950), "scatter": spread(9, 2.0)},
        {"readout": read(880, d=d), "scatter": spread(rank, 2.0)},
    )
    assert [f.layer for f in found(*results, rule=rule)] == ["a"]
    assert not found(*results, rule=({"bottleneck", "lost_separability"} - {rule}).pop())


def test_a_bottleneck_is_told_with_its_numbers():
    before, after = {"readout": read(950), "scatter": spread(9, 2.0)}, {"readout": read(880, d=2)}
    (hit,) = found(before, {**after, "scatter": spread(2, 2.0)}, rule="bottleneck")
    assert (hit.layer, hit.severity) == ("a", "warning")
    assert hit.title == "Layer a is too narrow: a linear read-out loses 0.070 of its accuracy there."
    assert "Held-out accuracy of a linear discriminant: 0.950 on the input, 0.880 at layer a (" in hit.evidence
    assert hit.evidence.endswith("1,000 held-out rows). 4 classes can need up to 3 directions, and it keeps 2.")
    assert hit.advice == "Make the layer wider, or add a residual connection around it."
    (hit,) = found(before, {**after, "scatter": spread(2, 2.1)}, rule="bottleneck")
    assert hit.evidence.endswith("(The usual ratio tr B / tr W rises here, 2.00 → 2.10: it misleads.)")


def test_a_loss_of_r2_has_no_interval_and_needs_a_twentieth():
    (hit,) = found({"readout": fitted(0.9)}, {"readout": fitted(0.849)}, rule="lost_separability", classes=0)
    assert (
        hit.evidence == "Held-out R² of a ridge regression: 0.900 on the input, 0.849 at layer a (1,000 held-out rows)."
    )
    assert not found({"readout": fitted(0.9)}, {"readout": fitted(0.851)}, rule="lost_separability", classes=0)


def test_separability_that_fades_by_three_hundredths_is_told_and_less_is_not():
    (hit,) = read_outs(900, 950, 942, 934, 926, 919, rule="fading")
    assert (hit.layer, hit.severity) == ("e", "note")
    assert hit.title == "Separability fades from layer a to layer e, little by little."
    assert hit.evidence.startswith("Held-out accuracy of a linear discriminant: 0.950 at layer a, 0.919 at layer e (")
    assert hit.evidence.endswith("No single layer in between loses much.")
    assert hit.advice == "Try fewer or wider layers behind that point, or residual connections around them."
    assert not read_outs(900, 950, 942, 934, 926, 921, rule="fading")


def test_fading_is_not_told_beside_a_layer_that_is_to_blame():
    assert not read_outs(900, 950, 942, 934, 926, 910, rule="fading")
    assert read_outs(900, 950, 942, 934, 926, 910, rule="lost_separability")


def test_fading_is_not_told_of_what_the_output_loses_nor_within_noise():
    assert not read_outs(900, 950, 942, 934, 926, 919, rule="fading", output=True)
    many = [{"readout": read(right, also=150 * i)} for i, right in enumerate((600, 592, 584, 576, 569))]
    assert not found({"readout": read(500)}, *many, rule="fading")


def test_fading_from_the_input_needs_more_than_two_layers():
    assert not read_outs(950, 942, 934, rule="fading")
    assert read_outs(950, 942, 934, 926, 919, rule="fading")


def scales(*levels, **how):
    return found(*({"moments": level(rms)} for rms in levels), rule="scale", **how)


def test_activations_a_hundred_times_the_median_explode():
    (hit,) = scales(1.0, 2.0, 2.0, 201.0)
    assert (hit.layer, hit.severity) == ("c", "note")
    assert hit.title == "Activations explode at layer c: 100 times above the median."
    assert hit.evidence == "Root mean square 2e+02; median over 3 layers 2."
    assert "He for ReLU, Xavier for tanh" in hit.advice
    assert not scales(1.0, 2.0, 2.0, 199.0)


def test_activations_a_hundredth_of_the_median_vanish():
    (hit,) = scales(1.0, 2.0, 2.0, 0.0199)
    assert (hit.layer, hit.severity) == ("c", "note")
    assert hit.title == "Activations vanish at layer c: 101 times below the median."
    assert hit.evidence == "Root mean square 0.02; median over 3 layers 2."
    assert not scales(1.0, 2.0, 2.0, 0.0201)


def test_the_scales_of_the_input_of_the_output_and_of_dead_layers_are_left_out():
    assert not scales(1e9, 2.0, 2.0, 2.0)
    assert not scales(1.0, 2.0, 2.0, 1e9, output=True)
    assert not scales(1.0, 2.0, 2.0, 0.0)
    assert not scales(1.0, 2.0, 2.0, np.nan)
    assert not scales(1.0, 2.0)


def reach(*norms, across=None):
    norm = np.array(norms)
    with np.errstate(divide="ignore"):
        lost = float(np.log10(norm[-1]) - np.log10(norm[0]))
    names = tuple("abcdefgh"[: len(norms)])
    return found(
        {},
        rule="gradient_reach",
        across={"gradients": Gradients(n=64, layers=names, norm=norm, orders_lost=lost), **(across or {})},
    )


def test_gradients_that_lose_four_orders_vanish():
    (hit,) = reach(0.99e-5, 0.01, 0.1)
    assert (hit.layer, hit.severity) == ("a", "warning")
    assert hit.title == "Gradients vanish: from the last layer to the first they shrink by a factor of 10^4."
    assert hit.evidence == "Root mean square of dL/dh: 1.00e-01 at layer c, 9.90e-06 at layer a (64 samples)."
    assert hit.why == "The first layers hardly learn."
    assert "He or orthogonal initialisation" in hit.advice
    assert not reach(1.01e-5, 0.01, 0.1)


def test_gradients_that_gain_four_orders_explode():
    (hit,) = reach(1.01e3, 1.0, 0.1)
    assert hit.title == "Gradients explode: from the last layer to the first they grow by a factor of 10^4."
    assert hit.evidence == "Root mean square of dL/dh: 1.00e-01 at layer c, 1.01e+03 at layer a (64 samples)."
    assert hit.why == "Steps that suit the last layers throw the first ones off."
    assert not reach(0.99e3, 1.0, 0.1)


def test_gradients_that_are_lost_altogether_or_not_known():
    (hit,) = reach(0.0, 0.1)
    assert hit.title.endswith("they shrink to nothing.")
    assert not reach(np.nan, 0.1)


def probed(**right):
    """Logistic probes of some layers: so many of N held-out rows are right, the first ones."""
    layers = {
        name: Probe(
            layer=name, weight=np.zeros((K, 20)), bias=np.zeros(K), l2=0.1, accuracy=n / N, low=0.0, high=1.0, loss=0.1,
            right=np.arange(N) < n, train_accuracy=1.0,
            optimality=Optimality(
                objective=1.0, gap=0.0, gradient_norm=0.0, tolerance=1e-3, is_converged=True, passes=1
            ),
            path=None, folds=None,
            control=ProbeControl(capacity=None, chance=0.5, n_types=0, task_accuracy=None, selectivity=None),
        )
        for name, n in right.items()
    }  # fmt: skip
    return {"probes": Probes(layers=layers, classes=np.arange(K), n=5000, n_test=N, level=0.95, seed=0)}


def test_a_probe_outranks_the_closed_form_where_both_exist():
    (hit,) = read_outs(950, 880, rule="lost_separability", across=probed(input=960, a=900))
    assert hit.evidence.endswith("Logistic probes: 0.960 and 0.900.")
    assert not read_outs(950, 880, rule="lost_separability", across=probed(input=960, a=958))
    assert read_outs(950, 880, rule="lost_separability", across=probed(a=958)), "the input was not probed"


def test_nothing_good_is_said_where_the_rows_may_have_been_trained_on():
    how = {"rule": "separability_rises", "output": False}
    assert [f.severity for f in read_outs(900, 950, **how, across={"examination": examined(0.95)})] == ["good"]
    unknown = replace(examined(0.95), is_declared=False)
    assert not read_outs(900, 950, **how, across={"examination": unknown})
    assert not read_outs(900, 950, **how)
