"""Pictures are tested by the data on their axes."""

from dataclasses import replace

import numpy as np
import pytest
import studies
from matplotlib.figure import Figure

from unbend.chart.activity import grid_width
from unbend.numerics.activity import Activity
from unbend.numerics.histogram import Histogram
from unbend.numerics.spectrum import Spectrum
from unbend.plot import activity, depth, gradient, histogram, moments, planes, readout, similarity, spectrum
from unbend.plot.style import CLASSES, WORDS, distinct, name_room, shorten, spread, tint
from unbend.plot.vector import vector


@pytest.fixture
def ax():
    return Figure(figsize=(4, 3)).add_subplot()


@pytest.fixture(scope="module")
def study():
    return studies.hostile()


def units(d, silent=()):
    score = np.linspace(0.5, 1.5, d)
    dead = np.isin(np.arange(d), silent)
    no = np.zeros(d, bool)
    return Activity(
        n=100,
        zero_share=dead * 1.0,
        flat_share=dead * 1.0,
        score=score * ~dead,
        silent=dead,
        always_on=no,
        dormant=dead,
        saturated=no,
        n_silent=len(silent),
        n_dormant=len(silent),
        n_saturated=0,
        silent_rate_bound=0.03,
    )


@pytest.mark.parametrize("d", [1, 10, 64, 10_000])
def test_every_unit_has_a_cell_and_silent_ones_are_marked(ax, d):
    activity.activity(ax, units(d, silent=(0,)))
    cells = ax.images[0].get_array().reshape(-1, 4)
    assert len(cells) >= d
    assert (cells[:d, 3] > 0).all()
    assert (cells[d:, 3] == 0).all()
    assert np.allclose(cells[0, :3], [0xD5 / 255, 0x5E / 255, 0])
    marked = ax.lines[0]
    assert (marked.get_xdata(), marked.get_ydata()) == ([0], [0])
    assert marked.get_markersize() >= 1


def test_cells_are_about_square():
    for d in (17, 64, 1000, 10_000):
        columns = grid_width(d, ratio=6.0)
        rows = -(-d // columns)
        assert 2 < columns / rows <= 9


def test_the_curve_shows_the_numbers_of_the_depth(ax, study):
    result = study.across["depth"]
    depth.readouts(ax, result)
    lines = {line.get_label(): line for line in ax.lines}
    assert np.array_equal(lines["held-out"].get_ydata(), result.held_out)
    assert np.array_equal(lines["training rows"].get_ydata(), result.train)
    assert "untrained twin" not in lines, "there is none"
    words = {text.get_text() for text in ax.texts}
    assert {"held-out", "training rows", "permuted labels"} <= words


def test_equal_steps_up_divide_the_errors(ax, study):
    n = len(study.across["depth"].layers)
    result = replace(study.across["depth"], held_out=np.linspace(0.5, 0.999, n), low=np.full(n, 0.4),
                     high=np.ones(n), train=np.ones(n), control=np.full(n, 0.1))  # fmt: skip
    depth.readouts(ax, result)
    at = ax.transData.transform([(0, a) for a in (0.6, 0.8, 0.9, 0.95)])[:, 1]
    assert np.allclose(np.diff(at), np.diff(at)[0], rtol=0.02)
    assert ax.get_ylim()[1] == 1.0
    assert "100 %" in {t.get_text() for t in ax.get_yticklabels()}


@pytest.mark.parametrize("value", [0.0, 1.0, np.nan])
def test_the_curve_survives_extremes(value, study):
    n = len(study.across["depth"].layers)
    column = np.full(n, value)
    result = replace(study.across["depth"], **dict.fromkeys(("held_out", "train", "twin", "control", "low", "high",
                     "fisher", "separation", "trace_ratio"), column))  # fmt: skip
    for draw in (depth.readouts, depth.fisher, depth.separation):
        assert vector(lambda ax, draw=draw: draw(ax, result), "a curve of extremes").startswith("<svg")


def test_only_activations_climb_in_colour(ax, study):
    result = study.across["depth"]
    depth.fisher(ax, result)
    treads = [line for line in ax.lines if line.get_ydata()[0] == line.get_ydata()[1]]
    green = [line.get_ydata()[0] for line in treads if line.get_color() == "#009e73"]
    assert green == [result.fisher[i] for i, kind in enumerate(result.kinds) if kind == "activation"]


def test_lines_run_along_what_feeds_what(ax, study):
    result = study.across["depth"]
    n = len(result.layers)
    shortcut = (*(((i - 1,) if i else ()) for i in range(n - 1)), (0, n - 2))
    depth.readouts(ax, replace(result, feeders=shortcut))
    lines = [line.get_xdata().tolist() for line in ax.lines if line.get_label() == "held-out"]
    assert sorted(lines, key=len) == [[0, n - 1], list(range(n))]


def test_no_riser_stands_between_layers_that_do_not_feed_each_other(ax, study):
    result = study.across["depth"]
    n = len(result.layers)
    depth.fisher(ax, replace(result, feeders=((), *(((0,),) * (n - 1)))))
    risers = [line.get_xdata()[0] for line in ax.lines if line.get_xdata()[0] == line.get_xdata()[1]]
    assert risers == [0.5]


def test_points_are_all_there_by_class_and_part(ax, study):
    result = study.layers[0].results["planes"]
    planes.pca(ax, result, class_names=study.about.class_names)
    drawn = {}
    for line in ax.lines:
        drawn[line.get_gid(), line.get_marker()] = len(line.get_xdata())
    for index in range(3):
        for part, mark in ((False, "o"), (True, "D")):
            assert drawn[f"class-{index}", mark] == int(((result.label == index) & (result.held_out == part)).sum())


def test_many_classes_are_drawn_by_colour_and_stay_fast(ax):
    rng = np.random.default_rng(0)
    label = np.arange(1200) % 120
    result = replace(studies.hostile().layers[0].results["planes"], ids=np.arange(1200), label=label.astype(float),
                     held_out=label % 2 == 1, pca=rng.normal(size=(1200, 2)), discriminant=None)  # fmt: skip
    planes.pca(ax, result, class_names=[f"class {i}" for i in range(120)])
    assert sum(len(line.get_xdata()) for line in ax.lines) == 1200
    assert len(ax.lines) <= 2 * len(CLASSES)


def test_a_histogram_loses_no_value():
    result = Histogram(
        n=10,
        edges=np.array([-2.0, -1.0, -1e-30, 1e-30, 1.0, 2.0]),
        counts=np.array([30, 20, 0, 40, 5]),
        zeros=5,
        nonfinite=0,
    )
    bars = histogram.bars(result)
    assert bars.share.sum() + bars.near_zero + bars.zero == pytest.approx(1)
    assert bars.zero == 0.05
    empty = Histogram(n=10, edges=np.array([-1.0, 1.0]), counts=np.zeros(1, np.int64), zeros=100, nonfinite=0)
    assert histogram.bars(empty).zero == 1.0
    assert vector(lambda ax: histogram.histogram(ax, empty), "all zeros")


def test_a_constant_layer_has_no_spectrum(ax):
    spectrum.spectrum(
        ax,
        Spectrum(
            n=10,
            values=np.zeros(4),
            effective_rank=0.0,
            participation_ratio=0.0,
            participation_unbiased=np.nan,
            for_95=0,
            rows_per_unit=2.5,
        ),
    )
    assert ax.texts[0].get_text() == "constant on this data"
    assert not ax.lines


def test_moments_keep_the_extremes_of_wide_layers(ax, study):
    wide = np.linspace(-1, 1, 5000)
    none = np.zeros(5000, np.int64)
    result = replace(
        study.layers[0].results["moments"], nonfinite=none, mean=wide, std=np.ones(5000), low=wide - 3, high=wide + 3
    )
    moments.moments(ax, result)
    low, high = ax.dataLim.intervaly
    assert low == pytest.approx(-4)
    assert high == pytest.approx(4)


def test_mistakes_leave_the_diagonal_empty(ax, study):
    result = study.layers[0].results["readout"]
    readout.readout(ax, result, class_names=study.about.class_names)
    alpha = ax.images[0].get_array()[..., 3]
    assert np.diagonal(alpha).max() == 0
    assert (alpha > 0).sum() == ((result.confusion > 0) & ~np.eye(3, dtype=bool)).sum()


def test_across_layers(ax, study):
    similarity.similarity(ax, study.across["similarity"])
    assert ax.images[0].get_array().shape == (4, 4, 4)
    other = Figure().add_subplot()
    gradient.gradients(other, study.across["gradients"])
    assert np.array_equal(other.lines[0].get_ydata(), study.across["gradients"].norm)


def test_a_drawing_is_small_and_takes_its_colours_from_the_page():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(2, 1000))
    svg = vector(lambda ax: ax.plot(x, y, "o", ms=3, mew=0, color="#0072b2"), 'dots <&">')
    assert len(svg) < 20 * 1000
    assert svg.count("h0") == 1000
    assert "var(--blue,#0072b2)" in svg
    assert 'aria-label="dots &lt;&amp;&quot;&gt;"' in svg
    assert "<use" not in svg
    assert "<style" not in svg


def test_dots_stand_where_matplotlib_put_them():
    svg = vector(lambda ax: ax.plot([0, 1], [0, 1], "D", ms=4, mfc="none", mec="#d55e00"), "two diamonds",
                 size=(2.0, 2.0), margins=(0.5, 0.5, 0.5, 0.5))  # fmt: skip
    place = svg[svg.index("M") :]
    assert "M39.3 104.7m0 2.8l2.8-2.8" in place


def test_a_user_s_own_style_changes_nothing():
    from matplotlib import rc_context

    def draw(ax):
        ax.plot([0, 1])

    plain = vector(draw, "a line")
    with rc_context({"lines.linewidth": 9, "axes.facecolor": "red", "font.size": 30}):
        assert vector(draw, "a line") == plain


def test_every_colour_has_a_word():
    assert set(CLASSES) <= set(WORDS)
    assert len(set(WORDS.values())) == len(WORDS)


def test_rules_of_style():
    assert shorten("a" * 40) == "a" * 8 + "…" + "a" * 9
    assert tint("#0072b2", np.array([0.0, 0.5, np.nan]))[:, 3].tolist() == [0, 0.5, 0]
    assert distinct(["dog", "dot"]) == ["dog", "dot"]
    assert distinct(["only"]) == ["only"]
    assert name_room(["a", "b"]) < name_room(["a long name of a layer"] * 12)
    places = spread([1.0, 1.0, 1.0], 0.5)
    assert sorted(places) == [0.5, 1.0, 1.5]


def test_powers_on_logarithmic_axes_are_written_in_plain_characters():
    from unbend.plot.vector import vector

    def draw(ax):
        ax.loglog([1e-4, 1.0, 1e4], [1e-9, 1.0, 1e9])

    svg = vector(draw, "powers")
    assert "mathdefault" not in svg
    assert "10⁻" in svg
