from dataclasses import replace

import pytest
import torch
from matplotlib.figure import Figure

from unbend.lab import neural_collapse


@pytest.fixture(scope="module")
def result(quick):
    return quick("neural_collapse")


def test_shuffled_labels_break_it(monkeypatch):
    digits = neural_collapse.digits

    def shuffled(n, seed):
        data = digits(n, seed)
        return replace(data, y_train=data.y_train[torch.randperm(n, generator=torch.Generator().manual_seed(0))])

    train = neural_collapse.train_net
    monkeypatch.setattr(neural_collapse, "digits", shuffled)
    # NC1 is that of the net with weight decay; the other need not learn.
    monkeypatch.setattr(
        neural_collapse,
        "train_net",
        lambda data, n, steps, decay, seed: train(data, n if decay else 1, steps, decay, seed),
    )
    assert "NC1 at the end" in neural_collapse.holds(neural_collapse.run(0, "quick")).failed


def test_the_figure_shows_all_four(result):
    figure = Figure()
    neural_collapse.draw(result, figure)
    left, right = figure.axes
    assert len(left.lines) == 5
    assert all(axes.get_xlabel() and axes.get_ylabel() for axes in (left, right))
