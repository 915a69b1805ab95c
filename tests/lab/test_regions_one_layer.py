"""Zaslavsky's formula, counted; and what breaks it."""

import numpy as np
import pytest
from matplotlib import rc_context
from matplotlib.figure import Figure

from unbend import zoo
from unbend.lab import regions_one_layer as lab
from unbend.plot.style import RC


@pytest.fixture(scope="module")
def result(quick):
    return quick("regions_one_layer")


def test_lines_through_one_point_break_it(monkeypatch):
    drawn = lab.layer
    monkeypatch.setattr(lab, "layer", lambda n, d, generator: (drawn(n, d, generator)[0], np.zeros(n)))
    broken = lab.run(0, "quick")
    in_the_plane = broken.d == 2
    np.testing.assert_array_equal(broken.counted[0, in_the_plane], 2 * broken.n[in_the_plane])
    assert not lab.holds(broken).passed


def test_units_of_two_kinks_break_it(monkeypatch):
    made = zoo.mlp
    monkeypatch.setattr(zoo, "mlp", lambda *widths, **options: made(*widths, **{**options, "activation": "hardtanh"}))
    assert not lab.holds(lab.run(0, "quick")).passed


def test_counts_in_three_dimensions_by_hand():
    corner = np.eye(3)
    assert lab.n_regions(corner, np.array([0.3, -0.2, 0.1])) == 8
    parallel = np.array([[1.0, 0.2, 0.1], [0.3, 1.0, -0.2], [0.5, 0.1, 1.0], [1.0, 1.0, 1.0]])
    assert lab.n_regions(parallel, np.array([0.3, -0.2, 0.1, 0.7])) == 15


def test_the_figure(result):
    figure = Figure()
    with rc_context(RC):
        lab.draw(result, figure)
    left, right = figure.axes
    assert left.get_xlabel() == "input x1\nshade: even or odd number of units on"
    assert len(left.collections[0].get_paths()) == 1 + 9 + 36
    assert right.get_xlabel()
    assert right.get_ylabel() == "linear regions"


def test_the_finding_tells_the_numbers(result):
    assert "529" in lab.finding(result)
