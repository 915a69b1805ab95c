"""Cutting weights: the experiment passes, sizes are as computed by hand, and cutting the largest is noticed."""

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure
from torch import nn

from unbend import zoo
from unbend.lab import pruning

pytest.importorskip("mlxtend")


@pytest.fixture(scope="module")
def result(quick):
    return quick("pruning")


def test_the_claim_holds_with_a_condition(result):
    verdict = pruning.holds(result)
    assert verdict.passed, [check for check in verdict.checks if not check.passed]
    assert verdict.outcome == "holds with a condition"
    assert "266,200 weights" in pruning.finding(result)


def test_sizes_of_a_layer_by_hand():
    layer = nn.Linear(16, 2)
    layer.weight.data.zero_()
    layer.weight.data[0, 3] = layer.weight.data[1, 5] = layer.weight.data[1, 6] = 1.0
    sparse, bitmap, zipped = pruning._sizes(nn.Sequential(layer))
    assert sparse == 3 * 4 + 3 * 4 + 3 * 4  # numbers, columns, where two rows start and the last ends
    assert bitmap == 3 * 4 + 32 / 8
    assert 0 < zipped < 32 * 4


def test_cutting_the_largest_weights_is_noticed(monkeypatch):
    def largest(model, share, **_options):
        shapes = {name: p.detach() for name, p in model.named_parameters() if p.ndim > 1}
        return {name: weight.abs() <= torch.quantile(weight.abs().flatten()[:100_000], 1 - share) + (share == 0)
                for name, weight in shapes.items()}  # fmt: skip

    monkeypatch.setitem(pruning.SIZES, "quick", (1, 2_000, 4, (0.0, 0.9)))
    monkeypatch.setattr(zoo, "smallest", largest)
    failed = pruning.holds(pruning.run(0, "quick")).failed
    assert "loss at that share: smallest, trained on" in failed


def test_the_figure_names_its_axes(result):
    figure = Figure()
    pruning.draw(result, figure)
    assert all(axes.get_xlabel() and axes.get_ylabel() for axes in figure.axes)
    assert np.array_equal(figure.axes[0].lines[0].get_ydata(), result.accuracy[0, 0])
