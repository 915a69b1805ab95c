import numpy as np
import pytest
from matplotlib.figure import Figure

from unbend.lab import cover

_NOISE = np.random.default_rng(1).random((4000, 784), dtype=np.float32)


@pytest.fixture(scope="module")
def result():
    """Photographs are replaced by noise of as many pixels: all that matters here is their number."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cover, "photographs", lambda: _NOISE)
        yield cover.run(0, "quick")


def test_the_count_of_cover_is_met(result):
    verdict = cover.holds(result)
    assert verdict.passed, [check for check in verdict.checks if not check.passed]


def test_labels_that_mean_something_break_it(result, monkeypatch):
    monkeypatch.setattr(cover, "coin_labels", lambda h, rng: (h[:, 0] > 0.5).astype(np.int64))
    checks = cover.holds(cover.run(0, "quick")).checks
    assert not checks[0].passed  # always separable
    assert not checks[1].passed
    assert not checks[3].passed  # and learned


def test_the_figure_shows_the_measured_shares(result):
    figure = Figure()
    cover.draw(result, figure)
    left, right = figure.axes
    assert left.get_xlabel()
    assert left.get_ylabel()
    assert right.get_xlabel()
    assert any(np.array_equal(line.get_ydata(), result.image_share) for line in right.lines)
    assert "Cover" in cover.finding(result)
