"""Which activations are universal, and what breaks the measurement."""

import numpy as np
import pytest
from matplotlib import rc_context
from matplotlib.figure import Figure

from unbend import zoo
from unbend.lab import universal as lab
from unbend.plot.style import RC


@pytest.fixture(scope="module")
def result(quick):
    return quick("universal")


def test_a_square_that_is_not_quite_one_breaks_it(monkeypatch):
    almost = zoo.Activation("square", zoo.activation(lambda z: z * z + 0.01 * z.abs()).module, 0.0, np.inf)
    monkeypatch.setitem(zoo.ACTIVATIONS, "square", almost)
    broken = lab.run(0, "quick")
    assert not lab.holds(broken).passed
    assert broken.error[0, broken.names.index("square"), -1] < 0.01 * broken.best[1]


def test_a_polynomial_passed_off_as_none_breaks_it(monkeypatch):
    quartic = zoo.Activation("tanh", zoo.activation(lambda z: z**4).module, 0.0, np.inf)
    monkeypatch.setitem(zoo.ACTIVATIONS, "tanh", quartic)
    monkeypatch.setattr(lab, "train", lambda names, *_: np.tile([[0.9], [0.9], [0.9], [0.0]], (1, 3)))
    verdict = lab.holds(lab.run(0, "quick"))
    assert [check.passed for check in verdict.checks].count(False) == 1


def test_every_elementwise_activation_is_there(result):
    assert set(result.names) == {name for name, one in zoo.ACTIVATIONS.items() if one.is_elementwise}
    assert [n for n, is_one in zip(result.names, result.is_polynomial, strict=True) if is_one] == [
        "identity",
        "square",
        "cube",
    ]


def test_the_figure(result):
    figure = Figure()
    with rc_context(RC):
        lab.draw(result, figure)
    left, right = figure.axes
    assert left.get_xlabel() == "input x"
    assert right.get_xlabel() == "hidden units"
    assert right.get_ylabel()
    assert "square" in lab.finding(result)
