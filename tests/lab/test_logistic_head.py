import numpy as np
import pytest
from matplotlib.figure import Figure

from unbend.lab import logistic_head


@pytest.fixture(scope="module")
def result(quick):
    return quick("logistic_head")


def test_a_head_that_is_not_trained_breaks_it(monkeypatch):
    train = logistic_head.train_net

    def frozen(net, *rest):
        net[-1].requires_grad_(requires_grad=False)
        return train(net, *rest)

    monkeypatch.setattr(logistic_head, "train_net", frozen)
    assert "gap at the end (share of the loss)" in logistic_head.holds(logistic_head.run(0, "quick")).failed


def test_the_gradient_is_that_of_the_objective(result):
    rng = np.random.default_rng(0)
    h, y, w = rng.normal(size=(20, 4)), rng.integers(0, 10, 20), rng.normal(size=(10, 4))
    step = 1e-6 * rng.normal(size=w.shape)
    rise = logistic_head.objective(w + step, h, y)[0] - logistic_head.objective(w - step, h, y)[0]
    np.testing.assert_allclose(rise, 2 * (logistic_head.objective(w, h, y)[1] * step).sum(), rtol=1e-4)


def test_the_figure_shows_both_heads(result):
    figure = Figure()
    logistic_head.draw(result, figure)
    assert len(figure.axes) == 3
    assert all(axes.get_xlabel() and axes.get_ylabel() for axes in figure.axes)
