import pytest
import torch
from matplotlib.figure import Figure

from unbend.lab import regression_head


@pytest.fixture(scope="module")
def result(quick):
    return quick("regression_head")


def test_layers_that_do_not_bend_break_it(monkeypatch):
    monkeypatch.setattr(regression_head, "ACTIVATION", "identity")
    broken = regression_head.holds(regression_head.run(0, "quick")).failed
    assert "formula: held-out R² of the last hidden layer" in broken
    assert "patients: rise of the training R² from input to last hidden layer" in broken


def test_a_linear_target_breaks_it(monkeypatch):
    monkeypatch.setattr(regression_head, "bump", lambda x: torch.exp(x[:, 0] / 50))
    assert "formula: held-out R² of the input" in regression_head.holds(regression_head.run(0, "quick")).failed


def test_the_figure_has_both_tasks(result):
    figure = Figure()
    regression_head.draw(result, figure)
    left, right = figure.axes
    assert left.get_xlabel()
    assert left.get_ylabel()
    assert right.get_title(loc="left") == result.tasks[1]
    assert result.layers[-2] == "bend 3"
