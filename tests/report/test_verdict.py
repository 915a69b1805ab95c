from dataclasses import replace

import numpy as np
import studies

from unbend.report.page import label
from unbend.report.verdict import opening, verdict
from unbend.study.examine.values import Contract, DataFacts, Examination, Scores


def said(study):
    """What the layers do, and what is wrong."""
    first, layers = verdict(study, {layer.name: label(layer) for layer in study.layers})
    return layers, first


def with_depth(study, **changes):
    columns = {k: np.asarray(v, dtype=float) if isinstance(v, list) else v for k, v in changes.items()}
    return replace(study, across={**study.across, "depth": replace(study.across["depth"], **columns)})


def plain():
    return replace(studies.regression(), findings=())


def test_a_gain_names_its_layer_and_the_untrained_twin():
    study = with_depth(studies.hostile(), held_out=[0.5, 0.5, 0.9, 0.8], low=[0.4, 0.4, 0.8, 0.7],
                       twin=[0.5, 0.5, 0.6, 0.5])  # fmt: skip
    first, _ = said(study)
    assert "50 % of held-out rows right at the input and 90 %" in first
    assert first.endswith("in one untrained draw the same layer reaches 60 %.")


def test_a_twin_that_is_as_good_takes_the_credit():
    study = with_depth(studies.hostile(), held_out=[0.5, 0.5, 0.9, 0.8], low=[0.4, 0.4, 0.8, 0.7],
                       twin=[0.5, 0.5, 0.85, 0.5])  # fmt: skip
    assert "reaches 85 %: no difference by training is shown" in said(study)[0]


def test_a_difference_within_the_interval_is_said_to_be_one():
    study = with_depth(studies.hostile(), held_out=[0.85, 0.85, 0.9, 0.8], low=[0.8, 0.8, 0.84, 0.7])
    assert "within the 95 % interval" in said(study)[0]


def test_no_layer_better_than_the_input():
    study = with_depth(studies.hostile(), held_out=[0.9, 0.5, 0.8, 0.7], low=[0.8, 0.4, 0.7, 0.6])
    assert "no layer's is higher: the last one reaches 70 %" in said(study)[0]


def test_without_held_out_rows_nothing_is_claimed():
    assert "no held-out rows" in said(with_depth(studies.hostile(), held_out=[np.nan] * 4))[0]


def test_findings_are_counted_and_the_worst_is_named():
    study = replace(studies.hostile(), findings=studies.FINDINGS)
    assert said(study)[1] == "One problem and one warning, first: 9 of 64 units of `3` are silent."
    assert said(replace(study, findings=studies.FINDINGS[1:2]))[1].startswith("One warning: The head")


def test_nothing_found():
    assert said(plain())[1] == "No rule found a problem."
    assert "own head reaches" in said(replace(studies.hostile(), findings=()))[1]


def examined(own, *, majority, confusion, is_declared=True, reachable=0.9):
    nan = float("nan")
    return Examination(
        n_train=900, n_held_out=200, is_declared=is_declared,
        scores=Scores(train=1.0, held_out=own, majority=majority, linear=reachable, curved=nan, margin=0.04),
        output=Contract(
            layer="a", width=2, end="", before="", before_layer=None, sums_to_one=False, is_constant=False, low=-1.0,
            high=1.0, clipped=0.0, outside=0.0, is_repeatable=True, loss_now=nan, loss_tenfold=nan, loss_one_hot=nan,
            loss_sure=nan, loss_growth=nan,
        ),
        weights=(), passages=(),
        rows=DataFacts(
            spread_low=1.0, spread_high=1.0, spread_median=1.0, size=1.0, offset=0.0, is_normalised=False, y_mean=nan,
            y_spread=nan, counts=None, confusion=np.array(confusion), in_train=nan, in_held_out=nan, majority_train=0.5,
            apart=nan, copies=0.0, leak=-1, leak_score=nan,
        ),
        trials=(), is_affine=False, flat_activations=0, fresh_reach=nan, dropout=0.0, dropout_layer=None,
        on_batch_statistics=nan, norm_layer=None,
    )  # fmt: skip


def opened(**how):
    study = studies.hostile()
    return opening(replace(study, across={**study.across, "examination": examined(**how)}))


def test_the_first_sentence_is_the_networks_own_score_beside_chance_and_references():
    assert opened(own=0.8, majority=0.5, confusion=[[80, 20], [20, 80]]) == (
        "The network is right on 80 % of 200 held-out rows (95 % interval 73.9 % to 85 %) and on 100 % of training "
        "rows; always naming their largest class gives 50 %, the best of three simple references on the raw input 90 %."
    )


def test_rows_that_the_network_may_have_seen_are_said_to_be_such():
    said = opened(own=0.8, majority=0.5, confusion=[[80, 20], [20, 80]], is_declared=False)
    assert said.endswith("unbend cannot know whether the network was trained on them.")


def test_an_accuracy_on_uneven_classes_stands_beside_the_one_averaged_over_classes():
    said = opened(own=0.99, majority=0.99, confusion=[[198, 0], [2, 0]])
    assert (
        "always naming their largest class gives 99 %; averaged over the classes the network is right on 50 %" in said
    )


def test_a_gain_that_these_rows_do_not_show_is_said_not_to_be_shown():
    study = with_depth(studies.hostile(), held_out=[0.85, 0.85, 0.9, 0.8], low=[0.8, 0.8, 0.84, 0.7],
                       gain=[0, 0, 0.05, -0.05], gain_low=[0, -0.01, -0.01, -0.1], gain_high=[0, 0.01, 0.11, 0.0],
                       over_twin_low=[0, 0, -0.02, 0], over_twin_high=[0, 0, 0.08, 0], twin=[0.5, 0.5, 0.87, 0.5],
                       optimism=0.012)  # fmt: skip
    first, _ = said(study)
    assert "(+5.0 points, 1.2 of them the luck of choosing the highest; 95 % interval -1.0 to +11.0, so" in first
    assert "so no difference is shown)" in first
    assert first.endswith("(+3.0 points by training, -2.0 to +8.0): no difference from an untrained draw is shown.")


def test_a_network_that_falls_short_without_a_cause_is_not_called_sound():
    study = replace(studies.hostile(), findings=())
    ill = examined(0.8, majority=0.5, confusion=[[80, 20], [20, 80]])
    assert said(replace(study, across={**study.across, "examination": ill}))[1].endswith(
        "The network falls short of the best simple reference by 10 points, and no rule found why."
    )


def test_layers_reduced_to_means_are_not_compared_with_a_whole_input():
    study = with_depth(studies.hostile(), held_out=[0.9, 0.5, 0.95, 0.7], low=[0.8, 0.4, 0.7, 0.6],
                       is_whole=(True, False, False, True))  # fmt: skip
    first, _ = said(study)
    assert "no layer's is higher: the last one reaches 70 %." in first
    assert "2 layers are reduced over positions, so not compared with it" in first
    assert first.endswith("what a mean loses is no loss of the layer.")
