import numpy as np
import pytest
import torch
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import Ridge

from unbend.errors import DataError, ShapeError
from unbend.numerics.probe import closed_form, discriminant, join, regress, ridge, ridge_folds, subtract, sums
from unbend.numerics.probe.closed import squared_error
from unbend.numerics.second import SecondState


def data(n=400, d=6, t=2, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, d)) @ rng.normal(size=(d, d)) + 5
    return x, x @ rng.normal(size=(d, t)) + rng.normal(size=(n, t))


def fields(m):
    return m.n, m.mean, m.gram, m.y_mean, m.cross, m.yy


def close(a, b, rtol=1e-9):
    for left, right in zip(fields(a), fields(b), strict=True):
        np.testing.assert_allclose(left, right, rtol=rtol, atol=rtol * np.abs(right).max())


def of(x, y):
    return sums(torch.from_numpy(x), torch.from_numpy(y))


def test_sums_are_the_definition_and_the_streamed_state_s():
    x, y = data(9000)
    found = of(x, y)
    np.testing.assert_allclose(found.gram, (x - x.mean(0)).T @ (x - x.mean(0)), rtol=1e-9)
    np.testing.assert_allclose(found.cross, (x - x.mean(0)).T @ (y - y.mean(0)), rtol=1e-9)
    close(found, SecondState.of_rows(torch.from_numpy(x), torch.from_numpy(y)).settle())
    close(sums(torch.from_numpy(x).float(), torch.from_numpy(y)), found, rtol=1e-5)


def test_huge_float32_rows_are_widened():
    x, y = data()
    found = sums(torch.from_numpy(x).float() * 1e30, torch.from_numpy(y))
    np.testing.assert_allclose(found.gram / 1e60, of(x, y).gram, rtol=1e-4, atol=1)


def test_joined_and_without_undo_each_other():
    x, y = data()
    parts = [of(x[f::3], y[f::3]) for f in range(3)]
    close(join(parts), of(x, y))
    close(subtract(of(x, y), parts[1]), of(np.delete(x, slice(1, None, 3), 0), np.delete(y, slice(1, None, 3), 0)))


def test_ridge_is_scikit_learn_s():
    x, y = data()
    scale = x.std(0)
    weight, bias = ridge(of(x, y), [1e-3, 0.5])
    for w, b, l2 in zip(weight, bias, [1e-3, 0.5], strict=True):
        peer = Ridge(alpha=l2 * len(x)).fit((x - x.mean(0)) / scale, y)
        np.testing.assert_allclose(w * scale, peer.coef_, rtol=1e-6)
        np.testing.assert_allclose(x @ w.T + b, peer.predict((x - x.mean(0)) / scale), rtol=1e-6, atol=1e-6)


def test_squared_error_needs_no_rows():
    x, y = data()
    other, target = data(seed=1)
    weight, bias = ridge(of(x, y), [0.1])
    expected = ((target - other @ weight[0].T - bias[0]) ** 2).sum(0)
    np.testing.assert_allclose(squared_error(of(other, target), weight, bias)[0], expected, rtol=1e-9)


def test_cross_validation_from_moments_is_that_of_rows():
    x, y = data(100)
    l2s = [1e-4, 1e-2, 1.0]
    found = ridge_folds([of(x[f::5], y[f::5]) for f in range(5)], l2s)
    error, spread = np.zeros((3, 2)), np.zeros(2)
    for f in range(5):
        out = np.arange(100) % 5 == f
        weight, bias = ridge(of(x[~out], y[~out]), l2s)
        error += ((y[out] - np.einsum("nd,mtd->mnt", x[out], weight) - bias[:, None]) ** 2).sum(1)
        spread += ((y[out] - y[~out].mean(0)) ** 2).sum(0)
    np.testing.assert_allclose(found.r2, 1 - error / spread, rtol=1e-9)
    assert found.chosen == l2s[(1 - error / spread).mean(1).argmax()]


def test_discriminant_is_scikit_learn_s():
    rng = np.random.default_rng(0)
    y = rng.integers(0, 4, 600)
    x = rng.normal(size=(4, 5))[y] + rng.normal(size=(600, 5)) @ rng.normal(size=(5, 5))
    weight, bias = discriminant(of(x, np.eye(5)[y]), 0.0)
    peer = LinearDiscriminantAnalysis(solver="lsqr").fit(x, y)
    ours, theirs = x @ weight[:4].T + bias[:4], peer.decision_function(x)
    np.testing.assert_allclose(ours - ours[:, :1], theirs - theirs[:, :1], rtol=1e-5, atol=1e-5)
    assert bias[4] == -np.inf


def test_dead_and_doubled_units_are_harmless():
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 200)
    x = np.c_[y + 0.1 * rng.normal(size=200), np.full(200, 3.0)]
    x = np.c_[x, x]
    for weight, bias in (discriminant(of(x, np.eye(2)[y])), [v[0] for v in ridge(of(x, np.eye(2)[y]), [1e-6])]):
        assert np.isfinite(weight).all()
        assert ((x @ weight.T + bias).argmax(1) == y).all()


def test_closed_form_is_separate_fits():
    rng = np.random.default_rng(0)
    y = torch.from_numpy(rng.integers(0, 3, 300))
    x = torch.from_numpy(rng.normal(size=(3, 8))[y] + rng.normal(size=(300, 8)))
    found = closed_form(x, y, l2s=(1e-3, 1e-1), n_shuffles=2)
    from unbend.numerics.probe.split import folds_of

    fold = folds_of(y, 5, 0)
    right = np.zeros(2)
    for f in range(5):
        weight, bias = ridge(of(x[fold != f].numpy(), np.eye(3)[y[fold != f]]), (1e-3, 1e-1))
        scores = np.einsum("nd,mkd->mnk", x[fold == f].numpy(), weight) + bias[:, None]
        right += (scores.argmax(2) == y[fold == f].numpy()).sum(1)
    np.testing.assert_array_equal(found.accuracy, right / 300)
    assert found.shuffled.shape == (2, 2)
    assert (found.low < found.accuracy).all()
    assert (abs(found.shuffled - 1 / 3) < 0.15).all()
    assert (found.memorised > found.shuffled[:, 0]).all()
    own = ((x.numpy() @ found.weight.T + found.bias).argmax(1) == y.numpy()).mean()
    assert own >= found.accuracy.max() - 0.02


def test_closed_form_refuses():
    with pytest.raises(DataError, match="smallest class"):
        closed_form(torch.zeros(5, 2), torch.tensor([0, 0, 0, 0, 1]))
    with pytest.raises(DataError, match="finite"):
        closed_form(torch.full((20, 2), torch.inf), torch.arange(20) % 2)


def test_r2_intervals_cover_the_truth():
    inside = 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        h = rng.normal(size=(800, 4))
        found = regress({"h": h}, h.sum(1) / 2 + rng.normal(size=800), l2s=[1e-6], seed=seed)["h"]
        inside += found.low[0] < 0.5 < found.high[0]
    assert 51 <= inside <= 60


def test_wide_layers_memorise_and_do_not_predict():
    rng = np.random.default_rng(0)
    y = rng.normal(size=(4000, 2))
    wide = regress({"wide": rng.normal(size=(4000, 300))}, y)["wide"]
    assert wide.r2.max() < 0.02
    assert (wide.capacity > 0.05).all(), "300 units memorise a part of 3000 shuffled targets"
    assert (wide.shuffled_r2 < 0.02).all()


def test_regress_refuses():
    with pytest.raises(ShapeError, match="layer"):
        regress({"layer": np.zeros((4, 3, 2))}, np.zeros(20))
    with pytest.raises(DataError, match="targets"):
        regress({"layer": np.zeros((20, 3))}, np.full(20, np.nan))
    with pytest.raises(DataError, match="layer"):
        regress({"layer": np.full((20, 3), np.nan)}, np.arange(20.0))
