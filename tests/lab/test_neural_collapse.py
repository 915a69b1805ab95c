from dataclasses import asdict, replace

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure

from unbend.lab import neural_collapse


@pytest.fixture(scope="module")
def result():
    return neural_collapse.run(0, "quick")


def test_it_holds(result):
    assert neural_collapse.holds(result).failed == ()
    assert neural_collapse.holds(neural_collapse.run(1, "quick")).failed == ()


def test_the_same_seed_gives_the_same_numbers(result):
    np.testing.assert_equal(asdict(neural_collapse.run(0, "quick")), asdict(result))


def test_shuffled_labels_break_it(monkeypatch):
    digits = neural_collapse.digits

    def shuffled(n, seed):
        data = digits(n, seed)
        return replace(data, y_train=data.y_train[torch.randperm(n, generator=torch.Generator().manual_seed(0))])

    monkeypatch.setattr(neural_collapse, "digits", shuffled)
    assert "NC1 at the end" in neural_collapse.holds(neural_collapse.run(0, "quick")).failed


def test_the_figure_shows_all_four(result):
    figure = Figure()
    neural_collapse.draw(result, figure)
    left, right = figure.axes
    assert len(left.lines) == 5
    assert all(axes.get_xlabel() and axes.get_ylabel() for axes in (left, right))
