from dataclasses import replace

import numpy as np
import studies

from unbend.report.page import label
from unbend.report.verdict import verdict


def said(study):
    return verdict(study, {layer.name: label(layer) for layer in study.layers})


def with_depth(study, **changes):
    columns = {k: np.asarray(v, dtype=float) for k, v in changes.items()}
    return replace(study, across={**study.across, "depth": replace(study.across["depth"], **columns)})


def plain():
    return replace(studies.regression(), findings=())


def test_a_gain_names_its_layer_and_the_untrained_twin():
    study = with_depth(studies.hostile(), held_out=[0.5, 0.5, 0.9, 0.8], low=[0.4, 0.4, 0.8, 0.7],
                       twin=[0.5, 0.5, 0.6, 0.5])  # fmt: skip
    first, _ = said(study)
    assert "50 % of held-out rows right at the input and 90 %" in first
    assert first.endswith("untrained, the same layer reaches 60 %.")


def test_a_twin_that_is_as_good_takes_the_credit():
    study = with_depth(studies.hostile(), held_out=[0.5, 0.5, 0.9, 0.8], low=[0.4, 0.4, 0.8, 0.7],
                       twin=[0.5, 0.5, 0.85, 0.5])  # fmt: skip
    assert "training is not what separates the classes there" in said(study)[0]


def test_a_difference_within_the_interval_is_said_to_be_one():
    study = with_depth(studies.hostile(), held_out=[0.85, 0.85, 0.9, 0.8], low=[0.8, 0.8, 0.84, 0.7])
    assert "within the 95 % interval" in said(study)[0]


def test_no_layer_better_than_the_input():
    study = with_depth(studies.hostile(), held_out=[0.9, 0.5, 0.8, 0.7], low=[0.8, 0.4, 0.7, 0.6])
    assert "no layer does better: the last one reaches 70 %" in said(study)[0]


def test_without_held_out_rows_nothing_is_claimed():
    assert "no held-out rows" in said(with_depth(studies.hostile(), held_out=[np.nan] * 4))[0]


def test_findings_are_counted_and_the_worst_is_named():
    study = replace(studies.hostile(), findings=studies.FINDINGS)
    assert said(study)[1] == "One problem and one warning, first: 9 of 64 units of `3` are silent."
    assert said(replace(study, findings=studies.FINDINGS[1:2]))[1].startswith("One warning: The head")


def test_nothing_found():
    assert said(plain())[1] == "No rule found a problem."
    assert "own head reaches" in said(replace(studies.hostile(), findings=()))[1]
