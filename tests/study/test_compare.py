from collections import OrderedDict
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.stats import binom
from torch import nn

from unbend.errors import DataError
from unbend.numerics.interval import paired_difference
from unbend.study.compare import Comparison, compare
from unbend.study.match import matched_by_position
from unbend.study.study import study
from unbend.study.values import Finding

N = 600


def rows(seed=0, *, n=N):
    x = torch.randn(n, 6, generator=torch.Generator().manual_seed(seed))
    return x, (x[:, 0] > 0).long()


def net(*, width=8, blind=False, seed=0):
    """A network that reads the first input well, or cannot see it."""
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Linear(6, width), nn.ReLU(), nn.Linear(width, 2))
    with torch.no_grad():
        if blind:
            model[0].weight[:, 0] = 0
        else:
            model[0].weight[0], model[0].weight[1] = torch.eye(6)[0] * 3, -torch.eye(6)[0] * 3
            model[0].bias[:2] = 0
            model[2].weight.zero_()
            model[2].weight[1, 0] = model[2].weight[0, 1] = 1.0
            model[2].bias.zero_()
    return model


@pytest.fixture(scope="module")
def good():
    return study(net(), rows(), name="good", twin=False)


@pytest.fixture(scope="module")
def blind():
    return study(net(blind=True), rows(), name="blind", twin=False)


def test_a_study_against_itself_changes_nothing(good):
    same = compare(good, good)
    assert same.layers == ("input", "0", "1", "2")
    np.testing.assert_array_equal(same.change, 0)
    assert same.is_paired.all()
    assert not same.is_beyond_noise.any()
    assert (same.low <= 0).all()
    assert (same.high >= 0).all()
    assert (same.better, same.worse, same.noted, same.solved, same.new) == ((), (), (), (), ())
    assert same.own_change == 0
    assert "None of 4 layers" in same.verdict


def test_what_a_blind_network_loses(good, blind):
    found = compare(good, blind)
    np.testing.assert_array_equal(found.is_beyond_noise, [False, True, True, True])
    assert [line.partition(":")[0] for line in found.worse] == ["0", "1", "2"]
    assert found.better == ()
    assert (found.high[1:] < -0.2).all()
    assert found.own_high < -0.2
    assert "0 of 4 layers read out better and 3 worse" in found.verdict
    assert [line.partition(":")[0] for line in found.noted if "Fisher value" in line] == ["0", "1", "2"]


def test_the_other_way_round_is_the_mirror_image(good, blind):
    one, other = compare(good, blind), compare(blind, good)
    np.testing.assert_allclose(one.change, -other.change, atol=1e-15)
    np.testing.assert_allclose(one.low, -other.high, atol=1e-12)
    np.testing.assert_allclose(one.high, -other.low, atol=1e-12)
    assert [s.partition(":")[0] for s in one.worse] == [s.partition(":")[0] for s in other.better]
    assert (one.solved, one.new) == (other.new, other.solved)
    assert one.own_low == pytest.approx(-other.own_high)


def test_the_same_rows_are_paired_as_interval_says(good, blind):
    found = compare(good, blind)
    first, second = (s["1"].results["readout"].correct for s in (good, blind))
    expected = paired_difference(second, first)
    assert (found.change[2], found.low[2], found.high[2]) == (expected.difference, expected.low, expected.high)


def shy(of, *, logits):
    """A network that says the second class only where the first input is well above 0, with two logits or one."""
    model = net()
    with torch.no_grad():
        model[2].bias[0] = of
    if logits == 1:
        head = nn.Linear(8, 1)
        with torch.no_grad():
            head.weight[0] = model[2].weight[1] - model[2].weight[0]
            head.bias[0] = model[2].bias[1] - model[2].bias[0]
        model[2] = head
    return study(model, rows(), twin=False)


def test_heads_of_one_logit_are_paired_as_those_of_two():
    one, two = (compare(shy(1.0, logits=n), shy(2.0, logits=n)) for n in (1, 2))
    assert one.own_second < one.own_first < 1
    assert (one.own_first, one.own_second) == (two.own_first, two.own_second)
    assert (one.own_change, one.own_low, one.own_high) == (two.own_change, two.own_low, two.own_high)


def test_the_own_score_is_paired_as_interval_says(good, blind):
    found = compare(good, blind)
    tables = [s.sums.held_out["2"]["SampleState"].table() for s in (good, blind)]
    first, second = (scores.argmax(1) == targets.argmax(1) for scores, targets in tables)
    expected = paired_difference(second, first)
    assert (found.own_change, found.own_low, found.own_high) == (expected.difference, expected.low, expected.high)


def test_other_rows_are_independent_and_wider(good):
    other = study(net(), rows(1), name="good", twin=False)
    found = compare(good, other)
    assert not found.is_paired.any()
    a, b = (s["input"].results["readout"] for s in (good, other))
    assert found.change[0] == pytest.approx(b.held_out - a.held_out)
    (low, high), (low2, high2) = a.held_out_interval, b.held_out_interval
    assert found.low[0] == pytest.approx(found.change[0] - np.hypot(b.held_out - low2, high - a.held_out), abs=1e-12)
    assert found.high[0] == pytest.approx(found.change[0] + np.hypot(high2 - b.held_out, a.held_out - low), abs=1e-12)


def test_studies_without_sums_are_compared_as_independent(good, blind):
    bare = replace(blind, sums=replace(blind.sums, train={}, held_out={}))
    found = compare(good, bare)
    assert not found.is_paired.any()
    assert found.is_beyond_noise[1:].all()
    assert found.own_high < 0


def test_independent_intervals_cover():
    from unbend.study.compare import _independent

    n, m, p, q = 40, 60, 0.9, 0.8
    inside = 0.0
    for s in range(n + 1):
        for t in range(m + 1):
            _, low, high = _independent((s, n), (t, m), 0.95)
            inside += binom.pmf(s, n, p) * binom.pmf(t, m, q) * (low <= q - p <= high)
    assert 0.94 < inside < 0.97


def test_layers_are_matched_by_name(good):
    torch.manual_seed(0)
    deeper = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 2))
    found = compare(good, study(deeper, rows(), twin=False))
    assert found.layers == ("input", "0", "1", "2")
    assert found.only_first == ()
    assert found.only_second == ("3", "4")
    assert len(found.change) == 4


def test_layers_of_other_names_are_matched_by_position_and_compared_on_the_same_rows(good, blind):
    def called(model):
        return nn.Sequential(OrderedDict(zip(("body", "act", "end"), model, strict=True)))

    other = study(called(net(blind=True)), rows(), name="blind", twin=False)
    found, same = compare(good, other), compare(good, blind)
    assert found.layers == same.layers
    assert found.by_position == {"body": "0", "act": "1", "end": "2"}
    assert found.only_first == found.only_second == ()
    for name in ("change", "low", "high", "is_paired", "fisher_second", "silent_second"):
        np.testing.assert_array_equal(getattr(found, name), getattr(same, name))
    assert (found.own_change, found.own_low) == (same.own_change, same.own_low)
    assert "Matched by position: 0 is body, 1 is act, 2 is end in the second." in found.noted
    assert {title.replace("body", "0").replace("act", "1").replace("end", "2") for title in found.new} == set(same.new)


def test_position_counts_only_between_layers_that_match_in_one_order(good):
    named = {"a": "affine", "b": "activation", "x": "affine", "c": "affine", "y": "norm"}

    def layers(*names):
        return [replace(good.layers[1], name=name, kind=named.get(name, "affine")) for name in names]

    assert matched_by_position(layers("a", "p", "b"), layers("a", "q", "b")) == {"q": "p"}
    assert matched_by_position(layers("a", "p", "r", "b"), layers("a", "q", "b")) == {}
    assert matched_by_position(layers("a", "p", "b"), layers("b", "q", "a")) == {}
    assert matched_by_position(layers("a", "x", "b"), layers("a", "y", "b")) == {}
    found = compare(good, replace(good, layers=good.layers[:2]))
    assert (
        f"Not matched: {len(good.layers) - 2} of the {len(good.layers)} layers of the first, 0 of the 2 of the second."
        in found.noted
    )


def test_studies_with_no_layer_in_common(good):
    renamed = replace(good, layers=tuple(replace(x, name=x.name + "'", kind="function") for x in good.layers))
    found = compare(good, renamed)
    assert found.layers == ()
    assert len(found.only_first) == len(found.only_second) == 4
    assert found.change.shape == (0,)
    assert isinstance(found, Comparison)


def test_silent_units_and_data_are_noted(good):
    dead = net()
    with torch.no_grad():
        dead[0].bias[4:] = -100
    found = compare(good, study(dead, rows(1), name="good", twin=False))
    assert "1: 0 → 4 silent of 8 units" in found.noted
    assert found.silent_second[found.layers.index("1")] == 4
    named = replace(good, about=replace(good.about, data="other"))
    assert any("The data differ" in line for line in compare(good, named).noted)


def test_findings_that_went_and_came(good):
    def with_findings(*found):
        return replace(good, findings=tuple(Finding(rule, sev, "1", title, "", "", "") for rule, sev, title in found))

    before = with_findings(("dead", "problem", "a"), ("narrow", "warning", "b"), ("fine", "good", "c"))
    after = with_findings(("narrow", "warning", "b, but other numbers"), ("rank", "warning", "d"), ("x", "note", "e"))
    found = compare(before, after)
    assert found.solved == ("a",)
    assert found.new == ("d",)


def regression(noise, seed):
    """A study of a network whose hidden layer sees the target through noise of its own."""
    x, _ = rows(seed, n=1500)
    torch.manual_seed(seed)
    blur = torch.nn.Linear(6, 6)
    with torch.no_grad():
        blur.weight.copy_(torch.eye(6))
        blur.bias.zero_()
        blur.weight[0] = torch.tensor([1.0, noise, 0, 0, 0, 0])
        blur.weight[1] = 0
    return study(nn.Sequential(blur), (x, x[:, :1].double()), n_classes=0, twin=False)


def test_regressions_are_compared_by_r2():
    sharp, blurred = regression(0.0, 0), regression(0.5, 0)
    found = compare(sharp, blurred)
    assert found.is_paired.all()
    assert found.change[1] == pytest.approx(-0.2, abs=0.05)
    assert found.low[1] < found.change[1] < found.high[1] < 0
    np.testing.assert_array_equal(found.is_beyond_noise, [False, True])
    assert np.isnan(found.fisher_first).all()
    assert np.isnan(found.own_low)
    other = compare(sharp, regression(0.5, 1))
    assert not other.is_paired.any()
    assert other.high[1] - other.low[1] > 0


def test_r2_intervals_cover():
    from unbend.numerics.sample import SampleState
    from unbend.study.compare import _unexplained_shares

    draw = np.random.default_rng(0)
    some = regression(0.0, 0)["0"].results["readout"]
    a, b = (replace(some, weight=np.array([w]), bias=np.zeros(1)) for w in ([1.0, 0.0], [0.9, 0.1]))
    ids = np.arange(300)
    truth, inside = -0.01 / 2 - 0.01 / 2, 0
    for _ in range(400):
        x = draw.normal(size=(300, 2))
        y = x[:, :1] + draw.normal(size=(300, 1))
        sample = SampleState(300, ids, ids.astype(np.uint64), (x,), (y,))
        lost = _unexplained_shares(b, sample) - _unexplained_shares(a, sample)
        half = 1.96 * np.sqrt(len(lost) * lost.var(ddof=1))
        inside += abs(-lost.sum() - truth) < half
    assert 0.92 < inside / 400 < 0.975


def test_a_classification_and_a_regression_do_not_compare(good):
    with pytest.raises(DataError, match="Accuracy and R² do not compare"):
        compare(good, regression(0.0, 0))
