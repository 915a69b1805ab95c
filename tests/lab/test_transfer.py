"""Layers taken over: the experiment passes, and fails when the lender has learned nothing."""

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure

from unbend import zoo
from unbend.lab import transfer

pytest.importorskip("mlxtend")


@pytest.fixture(scope="module")
def result(quick):
    return quick("transfer")


def test_the_claim_holds_with_a_condition(result):
    verdict = transfer.holds(result)
    assert verdict.passed, [check for check in verdict.checks if not check.passed]
    assert verdict.outcome == "holds with a condition"
    assert "mnist-5k" in transfer.finding(result)


def test_the_halves_share_no_class_and_lose_no_sample():
    data = zoo.data("mnist-5k").flat()
    first, second = transfer.halves(data, 3)
    assert len(first.x) + len(second.x) == len(data.x_train)
    assert torch.equal(first.y.unique(), torch.arange(5))
    assert torch.equal(second.y_test.unique(), torch.arange(5))
    pixels = {row.numpy().tobytes() for row in first.x}
    assert not any(row.numpy().tobytes() in pixels for row in second.x)


def test_kept_layers_stay_and_the_others_learn():
    lender = transfer._fresh(5)
    net = transfer._borrow(lender, 2, 1, is_kept=True)
    half = transfer.halves(transfer._small_images(zoo.data("mnist-5k")), 0)[0].first(50)
    before = net[7].weight.detach().clone()
    transfer._fit(net, half, 2, 0)
    assert torch.equal(net[0].weight, lender[0].weight)
    assert torch.equal(net[3].bias, lender[3].bias)
    assert not torch.equal(net[7].weight, before)


def test_a_lender_that_learned_shuffled_labels_is_noticed(monkeypatch):
    monkeypatch.setitem(
        transfer.SIZES, "quick", transfer.TransferSize(n_seeds=1, n_kept=(0, 2, 3), n_target=(100,), n_steps=80)
    )
    halves = transfer.halves

    def shuffled(data, seed):
        source, target = halves(data, seed)
        order = torch.randperm(len(source.y), generator=torch.Generator().manual_seed(seed))
        return transfer.Half(x=source.x, y=source.y[order], x_test=source.x_test, y_test=source.y_test), target

    monkeypatch.setattr(transfer, "halves", shuffled)
    failed = transfer.holds(transfer.run(0, "quick")).failed
    assert "accuracy of the first net on its own classes" in failed
    assert len(failed) > 1


def test_the_figure_names_its_axes(result):
    figure = Figure()
    transfer.draw(result, figure)
    assert len(figure.axes) == len(result.n_target)
    assert all(axes.get_xlabel() and axes.get_ylabel() for axes in figure.axes)
    assert np.array_equal(figure.axes[0].lines[1].get_ydata(), np.median(result.accuracy[0, 0], axis=0))
