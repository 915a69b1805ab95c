import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from unbend.errors import DataError, ShapeError
from unbend.numerics.separable import Overlap, Separation, Undecided, separate
from unbend.numerics.separable.rows import rows

SMALL = settings(max_examples=60, deadline=None, derandomize=True)


def checked(x, y, **options):
    verdict = separate(x, y, **options)
    assert verdict.verify(x, y)
    return verdict


def agrees(x, y, is_separable):
    """The verdict, proved and equal to exact linear programming."""
    verdict = checked(x, y)
    assert isinstance(verdict, Separation if is_separable(x, y) else Overlap)
    if isinstance(verdict, Overlap):
        assert len(verdict.rows) <= x.shape[1] + 2
    return verdict


@st.composite
def grids(draw):
    """Integer points with many ties, collinear and repeated ones included."""
    n, d, side = draw(st.integers(1, 12)), draw(st.integers(1, 4)), draw(st.integers(1, 3))
    flat = draw(st.lists(st.integers(-side, side), min_size=n * d, max_size=n * d))
    y = draw(st.lists(st.integers(0, 1), min_size=n, max_size=n))
    return np.array(flat, np.float64).reshape(n, d), np.array(y)


@SMALL
@given(grids())
def test_integer_grids_agree_with_exact_linear_programming(is_separable, problem):
    agrees(*problem, is_separable)


@SMALL
@given(grids(), st.integers(0, 2**32 - 1))
def test_repeated_rows_on_a_line(is_separable, problem, seed):
    x, y = problem
    rng = np.random.default_rng(seed)
    line = rng.integers(-3, 4, (1, x.shape[1]))
    twice = np.concatenate([x[:, :1] * line, x[:1, :1] * line])
    agrees(twice, np.append(y, y[0]), is_separable)


@SMALL
@given(st.integers(0, 2**32 - 1), st.integers(2, 14), st.integers(1, 4), st.sampled_from(["cloud", "line", "far"]))
def test_float32_points_agree_with_exact_linear_programming(is_separable, seed, n, d, kind):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n, d)).astype(np.float32)
    if kind == "line":
        x = x[:, :1] @ rng.standard_normal((1, d)).astype(np.float32)
    if kind == "far":
        x = (x + np.float32(4096)).astype(np.float32)
    agrees(x, rng.integers(0, 2, n), is_separable)


@SMALL
@given(st.integers(0, 2**32 - 1), st.integers(2, 10), st.integers(1, 3))
def test_wild_scales_and_denormals(is_separable, seed, n, d):
    rng = np.random.default_rng(seed)
    exponent = rng.integers(-322, 300, d)
    with np.errstate(under="ignore"):
        x = rng.integers(-9, 10, (n, d)) * 10.0**exponent
    agrees(x, rng.integers(0, 2, n), is_separable)


def test_xor_has_weights_of_one_half():
    x = np.array([[0.0, 0], [1, 1], [0, 1], [1, 0]])
    verdict = checked(x, np.array([0, 0, 1, 1]))
    assert isinstance(verdict, Overlap)
    assert sorted(verdict.rows.tolist()) == [0, 1, 2, 3]
    assert verdict.weights.tolist() == [0.5] * 4
    assert verdict.robustness > 0


def test_an_interval_between_two_others_has_the_weights_of_its_place():
    verdict = checked(np.array([[0.0], [3.0], [1.0]]), np.array([0, 0, 1]))
    weights = dict(zip(verdict.rows.tolist(), verdict.weights.tolist(), strict=True))
    assert weights == pytest.approx({0: 2 / 3, 1: 1 / 3, 2: 1.0}, rel=1e-12)


def test_equal_rows_with_two_labels_are_a_proof_of_two_rows():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((50, 8)).astype(np.float32)
    y = (x[:, 0] > 0).astype(int)
    x = np.concatenate([x, x[3:4]])
    verdict = checked(x, np.append(y, 1 - y[3]))
    assert isinstance(verdict, Overlap)
    assert sorted(verdict.rows.tolist()) == [3, 50]


def test_minus_zero_equals_zero():
    assert isinstance(checked(np.array([[0.0], [-0.0]]), np.array([0, 1])), Overlap)


@pytest.mark.parametrize("y", [np.array([1]), np.array([1, 1, 1]), np.array([-4])])
def test_one_class_is_separable_from_none(y):
    verdict = checked(np.ones((len(y), 2)), y)
    assert isinstance(verdict, Separation)
    assert verdict.margin == verdict.robustness == math.inf


def test_no_column_separates_nothing():
    assert isinstance(checked(np.zeros((2, 0)), np.array([0, 1])), Overlap)


def test_touching_hulls_overlap():
    x = np.array([[0.0, 1], [1, 1], [0.5, 1], [0.5, 2]])
    verdict = checked(x, np.array([0, 0, 1, 1]))
    assert isinstance(verdict, Overlap)
    assert len(verdict.rows) == 3
    assert verdict.robustness == 0.0


def test_constant_columns_take_no_part():
    rng = np.random.default_rng(1)
    x = np.hstack([rng.standard_normal((200, 3)), np.full((200, 2), 7.5)])
    y = (x[:, 0] + 0.3 * x[:, 1] > 0.2).astype(int)
    assert isinstance(checked(x, y), Separation)
    y[np.argmax(x[:, 0])] ^= 1
    y[np.argmin(x[:, 0])] ^= 1
    assert isinstance(checked(x, y), Overlap)


def test_fewer_rows_than_columns_are_separable():
    rng = np.random.default_rng(2)
    assert isinstance(checked(rng.standard_normal((40, 100)).astype(np.float32), rng.integers(0, 2, 40)), Separation)


def test_a_rare_unit_separates_what_it_sees_and_no_more():
    """Quasi-separation: a ReLU that fires on a few rows of one class sends its weight to infinity."""
    rng = np.random.default_rng(3)
    core = rng.standard_normal((600, 6))
    y = (rng.random(600) < 0.5).astype(int)
    rare = np.zeros((600, 3))
    for j in range(3):
        rare[np.flatnonzero(y == 1)[j * 5 : j * 5 + 5], j] = rng.random(5)
    verdict = checked(np.hstack([core, rare]), y)
    assert isinstance(verdict, Overlap)
    y = (core[:, 0] > 0).astype(int)
    wrong = np.flatnonzero(y == 0)[:4]
    y[wrong] = 1
    rare = np.zeros((600, 1))
    rare[wrong] = 1e-3
    assert isinstance(checked(np.hstack([core, rare]), y), Separation)
    assert isinstance(checked(core, y), Overlap)


@pytest.mark.parametrize("margin", [1e-2, 1e-4, 1e-6, 1e-8, 1e-10])
def test_small_margins_are_found_and_bounded(margin):
    """Rows lie exactly `margin` from a hyperplane; many peers say inseparable from 1e-6 on."""
    rng = np.random.default_rng(4)
    w = rng.standard_normal(8)
    w /= np.linalg.norm(w)
    x = rng.standard_normal((400, 8))
    score = x @ w
    y = (score > 0).astype(int)
    x += np.outer(np.where(y == 1, margin, -margin) - np.where(np.arange(400) < 90, score, 0), w)
    verdict = checked(x, y)
    assert isinstance(verdict, Separation)
    assert 0 < verdict.margin <= margin * 1.01 + 1e-15


@pytest.mark.parametrize("n", [400, 4000])
@pytest.mark.parametrize("depth", [1e-2, 1e-5])
def test_one_row_just_inside_the_other_hull(n, depth):
    rng = np.random.default_rng(5)
    x = rng.standard_normal((n, 5))
    y = (x[:, 0] > 0).astype(int)
    x[:, 0] += 0.1 * (2 * y - 1)
    upper = np.flatnonzero(y == 1)
    corner = upper[np.argsort(x[upper, 0])[:6]]
    x[np.flatnonzero(y == 0)[0]] = x[corner].mean(axis=0) + depth * np.eye(5)[0]
    assert isinstance(checked(x, y), Overlap)


def test_a_large_set_is_swept_not_solved():
    rng = np.random.default_rng(6)
    x = rng.standard_normal((30_000, 10)).astype(np.float32)
    y = (x @ rng.standard_normal(10) > 0).astype(int)
    assert isinstance(checked(x, y), Separation)
    y[17] ^= 1
    assert isinstance(checked(x, y), Overlap)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_torch_types_are_read_exactly(dtype):
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(60, 3, generator=generator).to(dtype)
    y = (x[:, 0] > 0).long()
    verdict = checked(x, y)
    assert isinstance(verdict, Separation)
    assert verdict.verify(x.double().numpy(), y.numpy())
    values, _ = rows(x, y)
    np.testing.assert_array_equal(values, x.double().numpy())


def test_rows_of_other_classes_are_passed_over():
    x = np.array([[0.0], [1.0], [2.0], [3.0], [0.5]])
    y = np.array([0, 0, 1, 1, 7])
    answers = separate(x, y, form="pairwise")
    pair = next(v for v in answers.verdicts if (v.positive, v.negative) == (1, 0))
    assert isinstance(pair, Separation)
    assert answers.verify(x, y)
    assert answers.is_separable is False  # 0 and 7 overlap


def test_budget_of_nothing_is_undecided_with_a_bracket():
    rng = np.random.default_rng(7)
    x = rng.standard_normal((3000, 40))
    y = (x[:, 0] > 0).astype(int)
    verdict = separate(x, y, budget=0.0)
    assert isinstance(verdict, Undecided)
    assert verdict.reason == "out of time"
    assert 0 <= verdict.errors <= 3000
    assert verdict.hull_distance > 0
    assert verdict.verify(x, y)


@pytest.mark.parametrize(
    ("x", "y", "error", "words"),
    [
        (np.zeros(3), np.zeros(3, int), ShapeError, "one row per sample"),
        (np.zeros((3, 2)), np.zeros(2, int), ShapeError, "one label for each of the 3 rows"),
        (np.zeros((0, 2)), np.zeros(0, int), DataError, "at least one row"),
        (np.array([[np.nan]]), np.array([0]), DataError, "finite"),
        (np.array([[np.inf]], np.float32), np.array([0]), DataError, "finite"),
        (np.zeros((2, 2), complex), np.zeros(2, int), DataError, "complex128"),
        (np.array([[2**60]]), np.array([0]), DataError, "2\\*\\*53"),
        (np.zeros((2, 2)), np.array([0.5, 1]), DataError, "integer labels"),
    ],
)
def test_what_cannot_be_asked_is_refused_in_a_sentence(x, y, error, words):
    with pytest.raises(error, match=words):
        rows(x, y)


def test_an_unknown_form_is_refused():
    from unbend.numerics.separable.decide import answer
    from unbend.numerics.separable.search import Limits

    with pytest.raises(DataError, match="pairwise"):
        answer(np.zeros((2, 1)), np.array([0, 1]), "some", Limits())
