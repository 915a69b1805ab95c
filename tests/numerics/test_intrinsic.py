"""The intrinsic dimension of clouds whose dimension is known, and what does not change it."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unbend.errors import DataError
from unbend.numerics.intrinsic import dimension


@pytest.mark.parametrize("d", [1, 2, 3, 5, 8])
def test_the_dimension_of_a_gaussian_cloud_lies_in_its_interval_or_close_below(d):
    found = dimension(np.random.default_rng(0).standard_normal((2000, d)))
    assert found.low * 0.93 < d < found.high * 1.12
    assert found.low < found.value < found.high


@pytest.mark.parametrize("d", [1, 3, 8])
def test_the_dimension_is_that_of_scikit_dimension(d):
    skdim = pytest.importorskip("skdim")
    x = np.random.default_rng(d).standard_normal((1000, d)) @ np.random.default_rng(9).standard_normal((d, 12))
    # Theirs is fitted to the ratios by least squares, ours by likelihood.
    assert dimension(x).value == pytest.approx(float(skdim.id.TwoNN().fit(x).dimension_), rel=0.03)


@given(st.integers(0, 50))
@settings(max_examples=10, deadline=None)
def test_turning_scaling_moving_and_embedding_change_nothing(seed):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((300, 3))
    turn = np.linalg.qr(rng.standard_normal((10, 10)))[0]
    embedded = np.concatenate([x, np.zeros((300, 7))], 1) @ turn * 17 + 5
    assert dimension(embedded).value == pytest.approx(_in_order(x, embedded), rel=0.15)


def _in_order(x, _other):
    return dimension(x).value


def test_a_curved_surface_has_two_dimensions_and_noise_shows_at_the_fine_scale():
    rng = np.random.default_rng(0)
    a, b = rng.random((2, 2000)) * 4
    roll = np.stack([a * np.cos(a), b, a * np.sin(a)], 1)
    assert dimension(roll).value == pytest.approx(2, abs=0.2)
    noisy = roll + 0.03 * rng.standard_normal(roll.shape)
    found = dimension(noisy)
    assert found.value > 2.15
    assert found.curve[4] < found.value  # the fewer the rows, the coarser the scale
    assert found.curve_n.tolist()[:3] == [2000, 1000, 500]


def test_equal_rows_count_once_and_too_few_are_refused():
    x = np.random.default_rng(0).standard_normal((200, 3))
    found = dimension(np.concatenate([x, x[:50]]))
    assert found.n == 200
    assert found.n_equal == 50
    assert found.value == dimension(x).value
    with pytest.raises(DataError, match="at least 20 distinct rows"):
        dimension(np.ones((500, 3)))
    with pytest.raises(DataError, match="finite"):
        dimension(np.full((50, 2), np.nan))
