"""Lines lie where the unit is zero, and strokes on its positive side."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from unbend.lab import draw

numbers = st.floats(-3, 3).map(lambda value: round(value, 3))
vectors = arrays(np.float64, 2, elements=numbers)
low, high = np.array([-1.0, -2.0]), np.array([3.0, 1.0])


@given(vectors, numbers)
def test_a_line_lies_on_the_zero_of_its_unit_within_the_box(weight, bias):
    ends = draw.line_within(weight, bias, low, high)
    corners = np.array([[x, y] for x in (-1.0, 3.0) for y in (-2.0, 1.0)]) @ weight + bias
    if ends is None:
        assert (corners >= -1e-9).all() or (corners <= 1e-9).all() or not weight.any()
        return
    assert np.abs(ends @ weight + bias).max() < 1e-9 * max(1, np.abs(weight).max())
    assert (ends >= low - 1e-6).all()
    assert (ends <= high + 1e-6).all()
    along = ends[1] - ends[0]
    assert np.array([-along[1], along[0]]) @ weight > 0


def test_strokes_point_to_the_positive_side():
    axes = Figure().subplots()
    axes.set(xlim=(-1, 1), ylim=(-1, 1))
    weight, bias = np.array([[1.0, 2.0], [1.0, 0.0]]), np.array([0.5, -7.0])
    draw.plane_lines(axes, weight, bias)
    assert len(axes.lines) == 1
    strokes = [part for part in axes.collections if isinstance(part, LineCollection)]
    feet, tips = np.array(strokes[0].get_segments()).transpose(1, 0, 2)
    np.testing.assert_allclose(feet @ weight[0] + bias[0], 0, atol=1e-12)
    assert (tips @ weight[0] + bias[0] > 0).all()
    assert axes.get_xlim() == (-1, 1)


def test_a_field_is_tinted_on_the_side_of_its_class():
    axes = Figure().subplots()
    axes.set(xlim=(0, 1), ylim=(0, 1))
    draw.field(axes, lambda points: points[:, 0], n=10)
    image = np.asarray(axes.images[0].get_array())
    assert image[0, 0, 2] > image[0, 0, 0]
    assert image[0, -1, 0] > image[0, -1, 2]
    np.testing.assert_allclose(image[..., 3], image[:1, :, 3].repeat(10, axis=0))


def test_a_field_on_one_side_has_no_boundary():
    axes = Figure().subplots()
    draw.field(axes, lambda points: np.ones(len(points)), n=4)
    assert not axes.collections


def test_classes_differ_in_mark_and_colour_and_large_clouds_are_images():
    axes = Figure().subplots()
    rng = np.random.default_rng(0)
    draw.scatter(axes, rng.normal(size=(6000, 2)), np.arange(6000) % 3, names=("a", "b", "c"))
    marks = {(line.get_marker(), line.get_color(), line.get_rasterized()) for line in axes.lines}
    assert {raster for *_, raster in marks} == {True}
    assert len({mark for mark, *_ in marks}) == len({color for _, color, _ in marks}) == 3


def test_a_grid_has_lines_both_ways():
    lines = draw.grid((0, 10), (1, 14), n_lines=3, n_points=5)
    assert lines.shape == (6, 5, 2)
    assert np.ptp(lines[:3, :, 1], axis=1).max() == 0
    assert np.ptp(lines[3:, :, 0], axis=1).max() == 0
    assert lines[..., 1].min() == 10
    assert lines[..., 1].max() == 14
