import numpy as np
import pytest
from matplotlib.figure import Figure

from unbend.numerics.separable import ladder_step
from unbend.plot import separable as drawing
from unbend.plot import style


@pytest.fixture(scope="module")
def steps():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((60, 2))
    y = (x[:, 0] + 0.5 * rng.standard_normal(60) > 0).astype(int)
    overlap = ladder_step(x, y, shuffles=2)
    separable = ladder_step(np.c_[x, 5 * y + x[:, 0]], y, shuffles=2, held_out=(np.c_[x, 5 * y + x[:, 0]], y))
    wide = ladder_step(rng.standard_normal((60, 80)), y, shuffles=2)
    open_ = ladder_step(rng.standard_normal((3000, 40)), np.arange(3000) % 2, shuffles=1, budget=0.0)
    return [overlap, open_, separable, wide]


def test_the_ladder_goes_from_overlap_to_separable(steps):
    ax = Figure().subplots()
    drawing.ladder(ax, list("abcd"), steps)
    path = ax.lines[0]
    assert path.get_xdata().tolist() == [0.0, 0.5, 1.0, 1.0]
    assert [t.get_text() for t in ax.get_yticklabels()] == list("abcd")
    assert ax.yaxis_inverted()
    marks = [line for line in ax.lines if line.get_marker() in ("X", "D", "o")]
    assert [m.get_marker() for m in marks] == ["X", "D", "o", "o"]
    assert [m.get_markerfacecolor() == style.PAPER for m in marks] == [False, False, False, True]


def test_words_and_remarks_tell_the_frame(steps):
    assert [drawing.word(s) for s in steps] == ["overlap", "undecided", "separable", "separable"]
    f = steps[0].frame
    assert f"between {f.errors_at_least} and {f.errors_at_most} rows" in drawing.remark(steps[0])
    assert "held out 100 %" in drawing.remark(steps[2])
    assert "shuffled labels separable 2 of 2" in drawing.remark(steps[3])


def test_robustness_is_drawn_to_its_value(steps):
    ax = Figure().subplots()
    drawing.robustness(ax, list("abcd"), steps)
    ends = [line.get_xdata()[0] for line in ax.lines if line.get_marker() in ("X", "o", "D")]
    assert ends[0] == steps[0].frame.robustness
    assert ends[2] == steps[2].frame.robustness
    assert ax.get_xscale() == "log"
