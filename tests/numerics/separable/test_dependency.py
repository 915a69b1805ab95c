import math
from fractions import Fraction

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from unbend.numerics.separable import Overlap, nullspace, separate, simplex
from unbend.numerics.separable import dependency as checks
from unbend.numerics.separable.dependency import dependency
from unbend.numerics.separable.nullspace import null_vector
from unbend.numerics.separable.rounding import dot2, dot2_error, scores


def test_null_vector_of_a_known_matrix():
    matrix = np.array([[1, 2, -3], [0, 4, -8]], object)
    assert null_vector(matrix) == [-1, 2, 1]


@pytest.mark.parametrize("matrix", [np.eye(3, dtype=int).astype(object), np.zeros((1, 3), int).astype(object)])
def test_null_spaces_of_other_dimensions_have_no_one_vector(matrix):
    assert null_vector(matrix) is None


@pytest.mark.parametrize("seed", range(5))
def test_null_vector_solves_exactly(seed):
    rng = np.random.default_rng(seed)
    matrix = rng.integers(-(2**40), 2**40, (7, 8)).astype(object)
    solution = null_vector(matrix)
    assert not any(matrix @ np.array(solution, object))


@pytest.mark.parametrize("bits", [3, 40, 400])
def test_null_vector_among_dependent_equations(bits):
    """Equations in excess that follow from the others, entries longer than a word."""
    rng = np.random.default_rng(bits)
    matrix = np.array([[int(a) << (bits - 3) for a in row] for row in rng.integers(-9, 10, (11, 12))], object)
    matrix += rng.integers(-4, 5, matrix.shape)
    solution = null_vector(np.vstack([matrix, matrix[::-1] * 3 - matrix]))
    assert not any(matrix @ np.array(solution, object))
    assert math.gcd(*solution) == 1
    extra = np.eye(12, dtype=int)[:1].astype(object)
    assert null_vector(np.vstack([matrix, extra])) is None or solution[0] == 0


def test_lifting_stops_at_its_deadline(monkeypatch):
    digits = []
    lifted = nullspace._digits
    monkeypatch.setattr(nullspace, "_digits", lambda A, b: (digits.append(a) or a for a in lifted(A, b)))
    matrix = np.random.default_rng(0).integers(-(2**50), 2**50, (30, 31)).astype(object)
    assert null_vector(matrix, deadline=-math.inf) is None
    assert len(digits) == 1
    assert null_vector(matrix) is not None


@pytest.mark.parametrize("seed", range(4))
def test_flat_witnesses_need_no_long_arithmetic(seed, monkeypatch):
    """An affine layer 64 -> 128 in float32, permuted labels: 130 witnesses that fill 64 dimensions but for rounding.

    Their weights are found to the last bits in two words, so that an interval proves them.
    """
    exact, calls = checks.null_vector, []
    monkeypatch.setattr(checks, "null_vector", lambda *a: calls.append(1) or exact(*a))
    monkeypatch.setattr(simplex, "solve", lambda *_a: pytest.fail("the exact simplex method was needed"))
    rng = np.random.default_rng(seed)
    x = rng.random((360, 64)).astype(np.float32)
    layer = rng.standard_normal((64, 128)).astype(np.float32) / 8
    h, y = x @ layer, rng.permutation(np.arange(360) % 2)
    verdict = separate(h, y)
    assert isinstance(verdict, Overlap)
    assert len(verdict.rows) == 130
    for threads in (1, 2):  # other orders of sums move a proved robustness in its third digit
        with threadpool_limits(threads):
            assert verdict.verify(h, y)
    assert verdict.robustness > 0
    assert len(calls) <= 3


@pytest.mark.parametrize("scale", [1e-300, 1.0, 1e200])
def test_error_bounds_hold(scale):
    """Against exact rationals, with cancellation."""
    rng = np.random.default_rng(0)
    a = rng.standard_normal((40, 30)) * scale
    b = rng.standard_normal(30)
    a[:, 0] = -(a[:, 1:] @ b[1:]) / b[0]
    exact = np.array(
        [sum(Fraction(u) * Fraction(v) for u, v in zip(row, b.tolist(), strict=True)) for row in a.tolist()]
    )
    total, error, size = scores(a, b, 0.0)
    assert all(
        abs(Fraction(t) - e) <= Fraction(r) for t, e, r in zip(total.tolist(), exact, error.tolist(), strict=True)
    )
    assert all(
        sum(abs(Fraction(u) * Fraction(v)) for u, v in zip(row, b.tolist(), strict=True)) <= Fraction(s)
        for row, s in zip(a.tolist(), size.tolist(), strict=True)
    )
    fine = dot2(a, b[None])[:, 0]
    bound = dot2_error(fine, size, 30)
    assert all(
        abs(Fraction(t) - e) <= Fraction(r) for t, e, r in zip(fine.tolist(), exact, bound.tolist(), strict=True)
    )
    assert (bound < 1e-3 * error).all() or scale < 1e-200


def test_a_square_system_survives_bad_condition():
    """Witnesses nearly in a plane, where one word of precision is not enough."""
    rng = np.random.default_rng(1)
    lam = rng.random(6) + 0.5
    z = rng.standard_normal((6, 4))
    z[:, 3] = z[:, 2] + 1e-9 * z[:, 3]
    sign = np.array([1.0, 1, 1, -1, -1, -1])
    lam[3:] *= lam[:3].sum() / lam[3:].sum()
    vectors = np.hstack([z, np.ones((6, 1))]) * sign[:, None]
    solution = np.linalg.svd(vectors.T)[2][-1]
    claim = dependency(vectors[:, None, :] * np.sign(solution)[:, None, None], np.abs(solution))
    exact = null_vector(_integers(vectors))
    agrees = np.allclose(np.abs(solution) / np.abs(solution).max(), _floats(exact), rtol=1e-6)
    assert (claim is not None) == agrees


def _integers(vectors):
    return np.array([[int(Fraction(float(a)) * 2**80) for a in row] for row in vectors.T], object)


def _floats(solution):
    top = max(map(abs, solution))
    return np.array([float(Fraction(abs(a), top)) for a in solution])
