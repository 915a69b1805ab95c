"""The page and `plot` show the same numbers: for every Result, what the page carries is what stands on the axes."""

import numpy as np
import pytest
import studies
from blocks import unpacked
from matplotlib.figure import Figure

from unbend.numerics.probe import ProbeRecipe, probe
from unbend.numerics.separable import ladder_step
from unbend.plot import activity, depth, gradient, histogram, moments, planes, readout, separable, similarity, spectrum
from unbend.plot import probe as probe_plot
from unbend.plot.style import BLUE, CLASSES
from unbend.plot.witnesses import witnesses
from unbend.report.block import Figure as Data
from unbend.report.block import pack
from unbend.report.sections import Place, section
from unbend.study.ladder import Ladder

CLOSE = {"rtol": 1e-6, "atol": 1e-12}


def drawn(draw, *given, **named):
    ax = Figure(figsize=(4, 3)).add_subplot()
    draw(ax, *given, **named)
    return ax


def shown(result, place):
    """What the page carries of a Result, by view, read back from its blocks."""
    pictures = section(result, place).pictures
    data = unpacked(pack([Data(picture.view, 0, picture.data) for picture in pictures], 1))
    return {picture.title: (picture.view, found) for picture, found in zip(pictures, data, strict=True)}


@pytest.fixture(scope="module")
def study():
    return studies.digits()


@pytest.fixture(scope="module")
def place(study):
    return Place("x", "3", "activation", study.about.class_names, {layer.name: layer.name for layer in study.layers})


def layer(study, name="3"):
    return next(one.results for one in study.layers if one.name == name)


def lines(ax):
    return {line.get_label(): np.asarray(line.get_ydata(), dtype=float) for line in ax.lines}


def test_depth(study, place):
    result = study.across["depth"]
    found = shown(result, place)
    _, curve = found["What a straight cut can read"]
    on_axes = lines(drawn(depth.readouts, result))
    pairs = {"held-out": "held_out", "training rows": "train", "untrained twin": "twin", "permuted labels": "control"}
    for label, name in pairs.items():
        assert np.allclose(curve[name], on_axes[label], **CLOSE, equal_nan=True)
    band = drawn(depth.readouts, result).collections[0].get_paths()[0].vertices[:, 1]
    assert {*np.float32(curve["low"]), *np.float32(curve["high"])} <= {*np.float32(band)}
    assert curve["layers"] == list(range(len(study.layers)))
    _, stairs = found["Fisher staircase"]
    treads = [line.get_ydata()[0] for line in drawn(depth.fisher, result).lines if np.ptp(line.get_ydata()) == 0]
    assert np.allclose(stairs["fisher"], treads, **CLOSE)
    _, law = found["Equi-separation"]
    ax = drawn(depth.separation, result)
    assert np.allclose(law["separation"], ax.lines[0].get_ydata(), **CLOSE)
    fit = ax.lines[-1]
    assert law["fitted"].tolist() == fit.get_xdata().tolist()
    assert np.allclose(law["line"], fit.get_ydata(), **CLOSE)


@pytest.mark.parametrize(
    ("title", "draw"), [("Most variance", planes.pca), ("Best for telling classes apart", planes.discriminant)]
)
def test_planes(study, place, title, draw):
    result = layer(study)["planes"]
    view, data = shown(result, place)[title]
    ax = drawn(draw, result, class_names=place.class_names)
    assert view == "planes"
    points = data["points"].reshape(-1, 2)
    spans = np.ptp(points, axis=0)
    for k in range(10):
        for part, mark in ((0, "o"), (1, "D")):
            (line,) = (m for m in ax.lines if m.get_gid() == f"class-{k}" and m.get_marker() == mark)
            mine = (data["group"] == k) & (data["held_out"] == part)
            assert (np.abs(points[mine] - np.column_stack(line.get_data())) <= spans / 60_000).all()
    assert np.allclose([data["low"], data["high"]], np.transpose([ax.get_xlim(), ax.get_ylim()]))


def test_two_classes_are_told_apart_on_one_axis_by_both():
    from dataclasses import replace

    result = studies.hostile().layers[0].results["planes"]
    line = np.column_stack([result.discriminant[:, 0], np.zeros(len(result.ids))])
    named = Place("planes", "input", "input", ("a", "b", "c"), {})
    view, data = shown(replace(result, discriminant=line), named)["Best for telling classes apart"]
    assert view == "density"
    assert np.allclose(data["points"][::2], line[:, 0], atol=np.ptp(line[:, 0]) / 60_000)


def test_a_regression_shows_fifths_of_its_targets():
    result = studies.regression().layers[1].results["planes"]
    _, data = shown(result, Place("planes", "0", "affine", (), {}))["Most variance"]
    ax = drawn(planes.pca, result)
    sizes = [len(line.get_xdata()) for line in ax.lines]
    assert [
        int(((data["group"] == k) & (data["held_out"] == part)).sum()) for k in range(5) for part in (0, 1)
    ] == sizes


def test_readout(study, place):
    result = layer(study)["readout"]
    _, data = shown(result, place)["Mistakes of the read-out"]
    ax = drawn(readout.readout, result, class_names=place.class_names)
    alpha = ax.images[0].get_array()[..., 3] / 0.92
    cells = np.zeros((10, 10))
    cells[data["row"], data["column"]] = data["shade"]
    assert np.allclose(cells, alpha, atol=1e-6)
    written = {(int(t.get_position()[1]), int(t.get_position()[0])): t.get_text() for t in ax.texts if t.get_text()}
    wrong = {at: count for at, count in written.items() if at[0] != at[1]}
    assert wrong == {(r, c): str(n) for r, c, n in zip(data["row"], data["column"], data["count"], strict=True)}


def test_spectrum(study, place):
    result = layer(study)["spectrum"]
    _, data = shown(result, place)["Spectrum"]
    ax = drawn(spectrum.spectrum, result)
    x, y = ax.lines[0].get_data()
    assert data["direction"].tolist() == list(x)
    assert np.allclose(data["share"], y, **CLOSE)
    assert sorted([data["effective_rank"], data["for_95"]]) == pytest.approx(
        [line.get_xdata()[0] for line in ax.lines[1:3]]
    )


def test_histogram(study, place):
    result = layer(study)["histogram"]
    _, data = shown(result, place)["Values"]
    ax = drawn(histogram.histogram, result)
    heights = [path.vertices[1, 1] for path in ax.collections[0].get_paths()]
    assert np.allclose(data["share"], heights, **CLOSE)
    widths = [np.ptp(path.vertices[:, 0]) for path in ax.collections[0].get_paths()]
    assert np.allclose(data["width"], widths, atol=1e-6)
    (bar,) = ax.patches
    assert bar.get_height() == pytest.approx(min(data["zero"] + data["near_zero"], 1.15 * data["share"].max()))


def test_moments(study, place):
    result = layer(study)["moments"]
    _, data = shown(result, place)["Mean and range of units"]
    ax = drawn(moments.moments, result)
    assert np.allclose(data["mean"], ax.lines[-1].get_ydata(), **CLOSE)
    assert np.allclose(data["place"], ax.lines[-1].get_xdata())
    edge = {*np.round(ax.collections[0].get_paths()[0].vertices[:, 1], 5)}
    assert {*np.round(data["low"].astype(float), 5)} | {*np.round(data["high"].astype(float), 5)} <= edge
    assert data["order"].tolist() == np.argsort(result.mean).tolist()


def test_activity(study, place):
    result = layer(study)["activity"]
    _, data = shown(result, place)["Units"]
    ax = drawn(activity.activity, result)
    alpha = ax.images[0].get_array().reshape(-1, 4)[: len(result.score), 3]
    silent = data["verdict"] == 1
    assert silent.sum() == result.n_silent > 0
    assert np.allclose(alpha[~silent], data["shade"][~silent], atol=1e-6)
    assert np.allclose(alpha[silent], 0.9)
    marked = {
        line.get_marker(): set((line.get_xdata() + data["columns"] * line.get_ydata()).astype(int)) for line in ax.lines
    }
    for place_, mark in enumerate(("x", "s", "v", "o"), 1):
        assert marked.get(mark, set()) == set(np.flatnonzero(data["verdict"] == place_))


def test_similarity_and_gradients(study, place):
    result = study.across["similarity"]
    _, data = shown(result, place)["Which layers say the same"]
    alpha = drawn(similarity.similarity, result).images[0].get_array()[..., 3]
    assert np.allclose(data["shade"].reshape(alpha.shape) * 0.92, alpha, atol=1e-6)
    assert np.allclose(data["cka"].reshape(result.cka.shape), result.cka, **CLOSE)
    _, course = shown(study.across["gradients"], place)["How far learning reaches"]
    assert np.allclose(
        course["norm"], drawn(gradient.gradients, study.across["gradients"]).lines[0].get_ydata(), **CLOSE
    )


def test_probes():
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 200)
    layers = {"a": rng.standard_normal((200, 3)), "b": rng.standard_normal((200, 2)) + 3 * y[:, None]}
    result = probe(layers, y, recipe=ProbeRecipe(l2=0.01))
    ((_, data),) = shown(result, Place("probes", "", "", ("0", "1"), {"a": "a", "b": "b"})).values()
    ax = drawn(probe_plot.probes, result)
    on_axes = lines(ax)
    assert np.allclose(data["task"], on_axes["control task"], **CLOSE)
    assert np.allclose(data["capacity"], on_axes["shuffled labels, on fitted rows"], **CLOSE)
    assert data["chance"] == on_axes["chance"][0]
    point, caps, _ = ax.containers[0]
    assert np.allclose(data["accuracy"], point.get_ydata(), **CLOSE)
    assert np.allclose([data["low"], data["high"]], [cap.get_ydata() for cap in caps], atol=1e-6)


def test_ladder_and_its_witnesses():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((60, 16))
    y = (x[:, 0] + 0.5 * rng.standard_normal(60) > 0).astype(int)
    steps = (ladder_step(x[:, :2], y, shuffles=2), ladder_step(np.c_[x, 5 * y + x[:, 0]], y, shuffles=2))
    rows = np.unique(np.concatenate([step.witnesses for step in steps]))
    result = Ladder(layers=("a", "b"), steps=steps, ids=np.arange(100, 160), shown=rows, inputs=x[rows], labels=y[rows])
    found = shown(result, Place("ladder", "", "", ("no", "yes"), {"a": "a", "b": "b"}))
    _, rungs = found["The ladder"]
    ax = drawn(separable.ladder, ["a", "b"], steps)
    said = [t.get_text() for t in ax.texts]
    assert said[::2] == [
        w + ", as are shuffled labels" * h for w, h in zip(rungs["words"], rungs["is_worthless"], strict=True)
    ]
    assert said[1::2] == rungs["remarks"]
    _, strip = found["The witnesses"]
    order = np.searchsorted(result.ids[rows], strip["ids"])
    images = x[rows][order].reshape(-1, 4, 4)
    ax = drawn(witnesses, images, strip["names"])
    assert strip["names"] == [("no", "yes")[k] for k in y[rows][order]]
    pixels = strip["pixels"].reshape(-1, 4, 4) / 255
    for image, kept in zip(ax.images, pixels, strict=True):
        assert np.allclose(image.get_array(), kept, atol=1 / 255)


def test_classes_have_the_same_colours_in_both():
    from unbend.report.html import text

    css = text("unbend.report", "style/core.css")
    from unbend.plot.style import WORDS

    assert all(f".c{i}{{--c:var(--{WORDS[color]})}}" in css for i, color in enumerate(CLASSES))
    assert f"--{WORDS[BLUE]}:light-dark({BLUE}," in css
