import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from unbend.numerics.probe.certificate import certify
from unbend.numerics.probe.logistic import fit, folds, path
from unbend.numerics.probe.objective import Rows, curvature, gradient, image, softmax
from unbend.numerics.probe.precondition import blocks
from unbend.numerics.probe.solve import at, penalty, slope, solve
from unbend.numerics.probe.standard import Standard


def blobs(n=300, d=5, k=3, seed=0, dtype=torch.float64, spread=1.0):
    generator = torch.Generator().manual_seed(seed)
    y = torch.randint(k, (n,), generator=generator)
    y[:k] = torch.arange(k)
    h = torch.randn(k, d, generator=generator, dtype=torch.float64)[y] * spread
    h += torch.randn(n, d, generator=generator, dtype=torch.float64)
    return Rows.of(Standard.of(h).apply(h).to(dtype), y, k)


def objective(rows, weight, l2):
    return softmax(rows, image(rows, weight, torch.float64))[0] + penalty(weight, l2)


def optimum(rows, l2):
    """The least objective, by scipy, from the definition."""
    z, y, w = rows.z.double().numpy(), rows.y.numpy(), rows.weight.double().numpy()
    n, d = z.shape

    def value(v):
        v = v.reshape(rows.k, d + 1)
        s = z @ v[:, :d].T + v[:, d]
        top = s.max(1, keepdims=True)
        p = np.exp(s - top)
        loss = np.log(p.sum(1)) + top[:, 0] - s[np.arange(n), y]
        r = p / p.sum(1, keepdims=True)
        r[np.arange(n), y] -= 1
        r *= w[:, None] / w.sum()
        g = np.c_[r.T @ z + l2 * v[:, :d], r.sum(0)]
        return (loss * w).sum() / w.sum() + l2 / 2 * (v[:, :d] ** 2).sum(), g.ravel()

    tight = {"maxiter": 5000, "maxfun": 10**5, "ftol": 1e-15, "gtol": 1e-9}
    return minimize(value, np.zeros(rows.k * (d + 1)), jac=True, method="L-BFGS-B", options=tight).fun


@given(
    n=st.integers(6, 80),
    d=st.integers(1, 6),
    k=st.integers(2, 4),
    log_l2=st.floats(-4, 1),
    seed=st.integers(0, 10**6),
    size=st.floats(0, 10),
)
@settings(max_examples=60, deadline=None)
@example(n=6, d=3, k=2, log_l2=0.0, seed=46353, size=9.5)  # every probability rounds to 0 or 1
def test_the_certified_gap_is_never_below_the_true_one(n, d, k, log_l2, seed, size):
    rows, l2 = blobs(n, d, k, seed), 10**log_l2
    weight = size * torch.randn(k, d + 1, generator=torch.Generator().manual_seed(seed + 1), dtype=torch.float64)
    found, moved = certify(rows, l2, weight, 1e-3)
    assert found.objective <= objective(rows, weight, l2) + 1e-12, "the best bias is not worse"
    assert found.objective == pytest.approx(objective(rows, moved, l2), rel=1e-12)
    assert found.gap >= found.objective - optimum(rows, l2) - 1e-9


@given(
    n=st.integers(6, 200), d=st.integers(1, 8), k=st.integers(2, 5), log_l2=st.floats(-4, 1), seed=st.integers(0, 99)
)
@settings(max_examples=40, deadline=None)
def test_a_fit_is_certified_and_optimal(n, d, k, log_l2, seed):
    rows, l2 = blobs(n, d, k, seed), 10**log_l2
    found = fit(rows, l2, 1e-4).optimality
    assert found.is_converged
    assert found.relative_gap <= 1e-4
    assert found.objective <= optimum(rows, l2) * (1 + 1e-4) + 1e-9


def test_the_gap_shrinks_to_nothing():
    rows = blobs()
    assert fit(rows, 1e-2, 1e-9).optimality.gap < 1e-9


def test_float32_rows_reach_a_thousandth():
    rows = blobs(4000, 20, 6, dtype=torch.float32)
    found = fit(rows, 1 / 4000, 1e-3).optimality
    assert found.is_converged
    assert found.objective <= optimum(rows, 1 / 4000) * 1.001


def test_units_that_fire_once_do_not_stop_the_solver():
    generator = torch.Generator().manual_seed(1)
    y = torch.randint(4, (3000,), generator=generator)
    h = torch.randn(4, 40, generator=generator)[y] * 0.5 + torch.randn(3000, 40, generator=generator)
    h[:, 20:] = 0
    h[torch.arange(20) * 7, 20 + torch.arange(20)] = 3
    rows = Rows.of(Standard.of(h).apply(h).float(), y, 4)
    assert fit(rows, 1e-3, 1e-3).optimality.is_converged


def test_a_stopped_solver_says_so():
    found = fit(blobs(), 1e-4, 1e-9, max_passes=2).optimality
    assert not found.is_converged
    assert found.gap > 1e-9 * found.objective


def test_rows_without_weight_are_not_there():
    rows = blobs(200)
    inside = torch.arange(200) % 4 != 0
    masked = fit(rows.with_weights(inside.double()), 1e-2, 1e-10)
    fewer = fit(Rows.of(rows.z[inside], rows.y[inside], rows.k), 1e-2, 1e-10)
    torch.testing.assert_close(masked.weight, fewer.weight, atol=1e-5, rtol=1e-4)
    assert masked.optimality.objective == pytest.approx(fewer.optimality.objective, rel=1e-9)


def test_gradient_and_curvature_are_derivatives():
    rows = blobs(50, 3, 3).with_weights(torch.rand(50, generator=torch.Generator().manual_seed(0)))
    w, v = torch.randn(2, 3, 4, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    step = 1e-4
    f = [objective(rows, w + t * v, 0.3) for t in (-step, 0, step)]
    here = at(rows, 0.3, w)
    assert float((slope(rows, 0.3, here) * v).sum()) == pytest.approx((f[2] - f[0]) / (2 * step), rel=1e-6)
    second = float(curvature(rows, here.p, [image(rows, v)])[0, 0]) + 2 * penalty(v, 0.3)
    assert second == pytest.approx((f[2] - 2 * f[1] + f[0]) / step**2, rel=1e-4)


def test_shared_blocks_are_the_hessian_at_zero():
    rows = blobs(100, 4, 3)
    model = blocks(rows, at(rows, 1.0).p, torch.Generator().manual_seed(0), shared=True)
    z = torch.cat([rows.z, torch.ones(100, 1, dtype=torch.float64)], 1)
    torch.testing.assert_close(model.moments[0], z.T @ z / 300, atol=1e-12, rtol=1e-10)


def test_gradient_is_zero_at_the_classes_means():
    rows = blobs(60, 2, 2)
    p = torch.nn.functional.one_hot(rows.y, 2).T.double()
    assert float(gradient(rows, p).abs().max()) == 0


def test_the_path_ends_where_held_out_rows_suffer():
    generator = torch.Generator().manual_seed(0)
    h = torch.randn(150, 60, generator=generator)
    y = (h[:, 0] + torch.randn(150, generator=generator) > 0).long()
    rows = Rows.of(Standard.of(h).apply(h), y, 2)
    held = torch.arange(150) % 3 == 0
    l2s = (1e-5, 1.0, 1e-3, 1e-1, 1e-2, 1e-4)
    found, solution = path(rows, held, l2s)
    assert not found.is_complete
    assert list(found.l2) == sorted(found.l2, reverse=True)
    assert found.chosen == found.l2[found.loss.argmin()] > 1e-3
    assert found.n_held_out == 50
    alone = solve(rows.with_weights((~held).double()), found.chosen, 1e-8)
    torch.testing.assert_close(solution.point.weight, alone.point.weight, atol=0.05, rtol=0.2)


def test_folds_are_those_of_separate_fits():
    rows = blobs(240, 4, 3)
    fold = torch.arange(240) % 3
    found = folds(rows, fold, 1e-2, near=solve(rows, 1e-2, 1e-6))
    for f in range(3):
        inside = fold != f
        alone = fit(Rows.of(rows.z[inside], rows.y[inside], 3), 1e-2, 1e-8)
        scores = rows.z[~inside] @ alone.weight[:, :-1].T + alone.weight[:, -1]
        loss = torch.nn.functional.cross_entropy(scores, rows.y[~inside])
        assert found.loss[f] == pytest.approx(float(loss), rel=0.03)
        assert found.accuracy[f] == pytest.approx(
            float((scores.argmax(1) == rows.y[~inside]).double().mean()), abs=0.03
        )
    assert list(found.n) == [80, 80, 80]


def test_wide_rows_fall_back_to_cheaper_curvature(monkeypatch):
    rows = blobs(400, 12, 3)
    reference = fit(rows, 1e-2, 1e-8).weight
    monkeypatch.setattr("unbend.numerics.probe.precondition._BLOCK_ENTRIES", 1)
    torch.testing.assert_close(fit(rows, 1e-2, 1e-8).weight, reference, atol=1e-3, rtol=1e-3)
    monkeypatch.setattr("unbend.numerics.probe.precondition._WIDEST", 2)
    diagonal = fit(rows, 1e-2, 1e-6)
    assert diagonal.solution.blocks.moments.ndim == 2
    assert diagonal.optimality.is_converged
