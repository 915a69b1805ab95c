"""The law, the peaks, and what breaks them."""

import numpy as np
import pytest
from matplotlib import rc_context
from matplotlib.figure import Figure

from unbend import zoo
from unbend.errors import LoadError
from unbend.lab import double_descent as lab
from unbend.plot.style import RC

LAW_OF = lab.law_of


@pytest.fixture(scope="module")
def result(quick):
    return quick("double_descent")


def test_a_ridge_breaks_it(monkeypatch):
    """Weights held small lower the peak: what remains is one descent."""
    monkeypatch.setitem(lab._NET_STEPS, "quick", 1)
    monkeypatch.setattr(lab, "smallest", lambda h, y: h.T @ np.linalg.solve(h @ h.T + 0.1 * np.eye(len(h)), y))
    verdict = lab.holds(lab.run(0, "quick"))
    assert any(not check.passed for check in verdict.checks if "peak over first minimum" in check.what)


def test_noise_of_another_size_breaks_the_law(monkeypatch):
    monkeypatch.setitem(lab._NET_STEPS, "quick", 1)
    monkeypatch.setattr(lab, "law_of", lambda samples, features: 1.4 * LAW_OF(samples, features))
    assert not lab.holds(lab.run(0, "quick")).checks[0].passed


@pytest.mark.parametrize(("features", "expected"), [(6, 6 / 53), (30, 30 / 29), (90, 60 / 29), (600, 60 / 539)])
def test_the_law_by_hand(features, expected):
    assert lab.law_of(60, features) == pytest.approx(expected)


def test_the_smallest_weights():
    generator = np.random.default_rng(0)
    for n in (5, 40, 90):
        h, y = generator.standard_normal((30, n)), generator.standard_normal((30, 2))
        np.testing.assert_allclose(lab.smallest(h, y), np.linalg.pinv(h) @ y, atol=1e-10)


def test_missing_data_say_how_to_get_them(monkeypatch):
    def missing(name, **options):
        raise LoadError(f"{name}: Install it: pip install mnist1d requests matplotlib")

    monkeypatch.setattr(zoo, "data", missing)
    with pytest.raises(LoadError, match="pip install"):
        lab.run(0, "quick")


def test_the_figure(result):
    figure = Figure()
    with rc_context(RC):
        lab.draw(result, figure)
    law, fit, net = figure.axes
    assert law.get_xlabel() == fit.get_xlabel() == "features / samples"
    assert net.get_xlabel() == "parameters / (samples x classes)"
    assert all(axes.get_ylabel() for axes in figure.axes)
    assert "MNIST-1D" in lab.finding(result)
