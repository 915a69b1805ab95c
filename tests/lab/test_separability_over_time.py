"""Read-outs over training: the experiment passes, repeats itself, and a net that does not learn is noticed."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure

from unbend import zoo
from unbend.lab import separability_over_time


@pytest.fixture(scope="module")
def result(quick):
    return quick("separability_over_time")


def test_the_claim_holds_with_a_condition(result):
    verdict = separability_over_time.holds(result)
    assert verdict.passed, [check for check in verdict.checks if not check.passed]
    assert verdict.outcome == "holds with a condition"
    assert f"{result.digits.held_out[0, -1, -1]:.3f}" in separability_over_time.finding(result)


def test_the_read_out_before_training_is_that_of_the_fresh_net(result):
    from sklearn.linear_model import LogisticRegression

    data, net = zoo.data("digits", seed=0), zoo.mlp(result.digits.widths, seed=0)
    with torch.no_grad():
        rows, held = (net[:2](x).double().numpy() for x in (data.x_train, data.x_test))
    scale = rows.std(0) + (rows.std(0) == 0)
    peer = LogisticRegression(C=1 / (1e-3 * len(rows)), max_iter=3000).fit(rows / scale, data.y_train.numpy())
    expected = peer.score(held / scale, data.y_test.numpy())
    assert result.digits.held_out[0, 0, 0] == pytest.approx(expected, abs=0.01)


def test_shuffled_labels_are_noticed(monkeypatch):
    data = zoo.data

    def shuffled(name, **options):
        found = data(name, **options)
        order = torch.randperm(len(found.y_train), generator=torch.Generator().manual_seed(0))
        return replace(found, y_train=found.y_train[order])

    monkeypatch.setattr(zoo, "data", shuffled)
    failed = separability_over_time.holds(separability_over_time.run(0, "quick")).failed
    assert "spirals, after: last hidden read-out" in failed
    assert any(what.startswith("digits, step 16") for what in failed)


def test_the_figure_names_its_axes(result):
    figure = Figure()
    separability_over_time.draw(result, figure)
    assert all(axes.get_xlabel() and axes.get_ylabel() for axes in figure.axes)


def test_the_film_runs_over_both_courses(result):
    n = separability_over_time.n_frames(result)
    assert n == len(result.digits.steps) + len(result.spirals.steps)
    for i in (0, len(result.digits.steps) - 1, n - 1):
        figure = Figure()
        separability_over_time.film(result, figure, i)
        left, right = figure.axes
        assert left.get_xlabel()
        assert right.get_xlabel()
        course = result.digits if i < len(result.digits.steps) else result.spirals
        index = i % len(result.digits.steps)
        bars = [bar.get_height() for bar in right.patches]
        assert bars[1:-1] == pytest.approx(np.median(course.held_out, axis=0)[index])
