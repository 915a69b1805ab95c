"""Every Result against a direct computation in float64, two passes, or against a peer."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import Ridge
from torch import nn

from unbend.errors import DataError, ShapeError
from unbend.numerics import readout as reading
from unbend.numerics import ridge as penalty
from unbend.numerics.activity import ActivityState, activity
from unbend.numerics.batch import batch, samples
from unbend.numerics.centroids import CentroidState, centroids
from unbend.numerics.collapse import collapse
from unbend.numerics.gradient import GradientState, gradients
from unbend.numerics.hashing import hashes
from unbend.numerics.histogram import PER_ROW, HistogramState, histogram
from unbend.numerics.moments import MomentState, moments
from unbend.numerics.permuted import order
from unbend.numerics.planes import planes
from unbend.numerics.readout import readout
from unbend.numerics.sample import SampleState
from unbend.numerics.saturation import saturation
from unbend.numerics.scatter import Scatter, scatter
from unbend.numerics.second import SecondState, eigen
from unbend.numerics.similarity import similarity
from unbend.numerics.spectrum import spectrum
from unbend.numerics.sweep import _plain, segments, sweep
from unbend.numerics.view import View
from unbend.numerics.views import reduce, sketch


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def one_hot(y, k):
    return nn.functional.one_hot(y, k).double()


def blobs(n=600, d=8, k=3, gap=2.0, seed=0):
    """Classes of unit spread around random means."""
    y = torch.randint(k, (n,), generator=torch.Generator().manual_seed(seed))
    return normal(n, d, seed=seed) + gap * normal(k, d, seed=seed + 1)[y], y


def scattered(x, y, k=None) -> Scatter:
    return scatter(SecondState.of_rows(x, one_hot(y, k or int(y.max()) + 1)))


def matrices(x, y):
    """Within and between scatter, the long way."""
    x, y = x.double().numpy(), y.numpy()
    within = sum(((x[y == c] - x[y == c].mean(0)).T @ (x[y == c] - x[y == c].mean(0))) for c in np.unique(y))
    gaps = [np.sqrt((y == c).sum()) * (x[y == c].mean(0) - x.mean(0)) for c in np.unique(y)]
    return within, sum(np.outer(g, g) for g in gaps)


@pytest.mark.parametrize("ratio", [0, 1, 1000, 10_000])
@pytest.mark.parametrize("width", [1, 63, 64, 65, 200])
@pytest.mark.parametrize("n", [1, 7, 61])
def test_moments_keep_their_digits_when_means_are_large(ratio, width, n):
    x = (normal(n, width) + ratio).float()
    got = moments(MomentState.of(batch(x, samples(torch.zeros(n, dtype=torch.int64)))))
    two_pass = x.double().numpy()
    np.testing.assert_allclose(got.mean, two_pass.mean(0), rtol=1e-13, atol=1e-14)
    np.testing.assert_allclose(got.std, two_pass.std(0), rtol=1e-6, atol=1e-15)
    np.testing.assert_array_equal(got.low, two_pass.min(0))
    np.testing.assert_array_equal(got.high, two_pass.max(0))
    assert got.rms == pytest.approx(np.sqrt((two_pass**2).mean()), rel=1e-12)


@pytest.mark.parametrize("layout", ["features", "maps", "tokens"])
@pytest.mark.parametrize("n", [0, 1, 13, 100])
@pytest.mark.parametrize("p", [1, 49, 300])
@pytest.mark.parametrize("d", [1, 10, 64, 65])
def test_the_compiled_sweep_equals_the_plain_one(layout, n, p, d):
    shape = {"features": (n, d), "maps": (n, d, p), "tokens": (n, p, d)}[layout]
    x = normal(*shape).float()
    label = np.arange(n) % 3 * 2
    mask = torch.rand(n, p, generator=torch.Generator().manual_seed(1)) < 0.5 if layout == "tokens" else None
    groups = segments(label, 6)
    a, b = sweep(x, groups, layout, mask), _plain(x, groups, layout, mask)
    for name in ("count", "total", "m2", "low", "high", "nonfinite", "class_n", "class_total"):
        np.testing.assert_allclose(getattr(a, name), getattr(b, name), rtol=1e-10, atol=1e-10, err_msg=name)
    np.testing.assert_array_equal(np.broadcast_to(a.class_count, b.class_count.shape), b.class_count)
    if a.means is not None:
        np.testing.assert_allclose(a.means, b.means, rtol=1e-5, atol=1e-6)


def test_channels_last_maps_are_the_same_maps():
    x = normal(9, 12, 5, 5).float()
    groups = segments(np.arange(9) % 2, 2)
    a, b = sweep(x, groups, "maps"), sweep(x.to(memory_format=torch.channels_last), groups, "maps")
    np.testing.assert_allclose(a.m2, b.m2, rtol=1e-12)
    np.testing.assert_allclose(a.class_total, b.class_total, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("hole", [torch.nan, torch.inf, -torch.inf])
def test_values_that_are_not_finite_are_counted_and_left_out(hole):
    x = normal(20, 4).float()
    x[3, 1] = x[4, 1] = x[0, 2] = hole
    some = samples(torch.arange(20) % 2)
    got = moments(MomentState.of(batch(x, some)))
    assert got.nonfinite.tolist() == [0, 2, 1, 0]
    clean = np.where(np.isfinite(x.numpy()), x.double().numpy(), np.nan)
    np.testing.assert_allclose(got.mean, np.nanmean(clean, 0))
    np.testing.assert_allclose(got.std, np.nanstd(clean, 0))
    classes = centroids(CentroidState.of(batch(x, some))).mean
    np.testing.assert_allclose(classes, [np.nanmean(clean[c::2], 0) for c in (0, 1)])
    second = SecondState.of(batch(x, some)).settle()
    assert (second.n, second.lost) == (17, 3)


@pytest.mark.parametrize("value", [0.1, 0.0, 1e30, 1e-30, -3e-41])
def test_a_constant_layer_has_no_spread_and_no_directions(value):
    x, y = torch.full((30, 4), value), torch.arange(30) % 3
    made = batch(x, samples(y))
    state = MomentState.of(made) + MomentState.of(batch(x[:7], samples(y[:7], n_classes=3)))
    assert (moments(state).std == 0).all()
    second = SecondState.of(made) + SecondState.of(batch(x[:7], samples(y[:7], n_classes=3)))
    assert spectrum(second).effective_rank == 0
    spread = scatter(second)
    assert spread.rank == 0
    assert np.isnan([spread.trace_ratio, spread.fisher, spread.separation]).all()
    sample = SampleState.of(made)
    assert readout(second, sample, sample).train == pytest.approx(1 / 3)
    assert not planes(second, sample, sample).pca.any()
    assert np.isnan(similarity({"a": x, "b": x}).cka).all()


def test_within_and_between_add_up_and_are_the_textbook_matrices():
    x, y = blobs()
    got = scattered(x, y)
    within, between = matrices(x, y)
    assert got.within * got.n == pytest.approx(np.trace(within), rel=1e-10)
    assert got.between * got.n == pytest.approx(np.trace(between), rel=1e-10)
    total = float(((x - x.mean(0)) ** 2).sum()) / len(x)
    assert got.within + got.between == pytest.approx(total, rel=1e-12)
    assert got.fisher_raw == pytest.approx(np.trace(np.linalg.solve(within, between)), rel=1e-9)
    dense = np.trace(within @ np.linalg.pinv(between, rcond=1e-10, hermitian=True))
    assert got.separation == pytest.approx(dense, rel=1e-8)
    assert got.counts.sum() == len(x)


@pytest.mark.parametrize("offset", [0.0, 30.0])
def test_fisher_does_not_change_under_affine_maps_and_embeddings(offset):
    x, y = blobs(n=2000, d=12)
    x = x.float() + offset
    before = scattered(x, y)
    for width in (12, 40, 200):
        after = scattered(x @ normal(12, width, seed=width).float() + normal(width, seed=5).float(), y)
        assert after.rank == before.rank == 12
        assert after.fisher == pytest.approx(before.fisher, rel=2e-3)


def test_one_noisy_unit_destroys_the_trace_ratio_and_not_fisher():
    x, y = blobs()
    noisy = x.clone()
    noisy[:, 0] *= 1000
    a, b = scattered(x, y), scattered(noisy, y)
    assert b.fisher == pytest.approx(a.fisher, rel=1e-6)
    x = torch.cat([x, normal(len(x), 1, seed=9)], 1)
    scaled = x * torch.tensor([1.0] * 8 + [1000.0])
    assert scattered(scaled, y).trace_ratio < scattered(x, y).trace_ratio / 1000


def test_a_bottleneck_raises_the_trace_ratio_and_lowers_fisher():
    x, y = blobs(n=3000, d=20, k=6, gap=1.0)
    _, axes = np.linalg.eigh(matrices(x, y)[1])
    narrow = x @ torch.from_numpy(axes[:, -2:].copy())
    wide, thin = scattered(x, y), scattered(narrow, y)
    assert thin.trace_ratio > 1.5 * wide.trace_ratio
    assert thin.fisher < 0.8 * wide.fisher


def test_the_debiased_fisher_value_is_unbiased():
    n, d, k = 500, 100, 5
    means = 0.7 * normal(k, d, seed=99)
    y = torch.arange(n) % k
    truth = float(((means - means.mean(0)) ** 2).sum()) / k
    values = [scattered(normal(n, d, seed=s) + means[y], y) for s in range(12)]
    assert np.mean([v.fisher for v in values]) == pytest.approx(truth, rel=0.03)
    assert np.mean([v.fisher_raw for v in values]) > 1.2 * truth
    null = [scattered(normal(n, d, seed=s), y).fisher for s in range(12)]
    assert abs(np.mean(null)) < 0.03


def test_fisher_says_when_it_cannot_be_known():
    x, y = blobs(n=20, d=40)
    assert np.isnan(scattered(x, y).fisher)
    assert scattered(x, y).fisher_raw == np.inf
    apart = one_hot(torch.arange(30) % 3, 3)
    assert scattered(apart, torch.arange(30) % 3).fisher == np.inf
    assert scatter(SecondState.of_rows(normal(9, 2), normal(9, 2))) is None
    assert scatter(SecondState.of_rows(normal(9, 2), torch.zeros(9, 2).double())) is None


def test_the_spectrum_of_gaussians_and_its_bias():
    n, d = 60, 30
    got = [spectrum(SecondState.of_rows(normal(n, d, seed=s), torch.zeros(n, 1).double())) for s in range(20)]
    assert np.mean([g.participation_ratio for g in got]) < 0.75 * d
    assert np.mean([g.participation_unbiased for g in got]) == pytest.approx(d, rel=0.03)
    x = normal(40, 5)
    values = np.linalg.eigvalsh(np.cov(x.numpy().T))[::-1]
    one = spectrum(SecondState.of_rows(x, torch.zeros(40, 1).double()))
    np.testing.assert_allclose(one.values, values)
    p = values / values.sum()
    assert one.effective_rank == pytest.approx(np.exp(-(p * np.log(p)).sum()))
    assert one.participation_ratio == pytest.approx(values.sum() ** 2 / (values**2).sum())
    assert one.for_95 == 1 + int((np.cumsum(p) < 0.95).sum())


@pytest.mark.parametrize("size", [1e-30, 1e30])
def test_scale_changes_no_dimension_and_no_read_out(size):
    x, y = blobs()
    a, b = (SecondState.of_rows((s * x).float(), one_hot(y, 3)) for s in (1.0, size))
    assert spectrum(a).effective_rank == pytest.approx(spectrum(b).effective_rank, rel=1e-5)
    assert scatter(a).fisher == pytest.approx(scatter(b).fisher, rel=1e-5)
    assert scatter(a).separation == pytest.approx(scatter(b).separation, rel=1e-5)


def explicit_hsic(k, m):
    n = len(k)
    k, m = k - np.diag(np.diag(k)), m - np.diag(np.diag(m))
    one = np.ones(n)
    middle = (one @ k @ one) * (one @ m @ one) / ((n - 1) * (n - 2))
    return (np.trace(k @ m) + middle - 2 / (n - 2) * (one @ k @ m @ one)) / (n * (n - 3))


def test_cka_is_the_explicit_formula_and_near_zero_for_noise():
    a, b = normal(20, 4), normal(20, 7, seed=1) + 3
    b[:, 0] += a[:, 0]
    k, m = (a @ a.T).numpy(), (b @ b.T).numpy()
    truth = explicit_hsic(k, m) / np.sqrt(explicit_hsic(k, k) * explicit_hsic(m, m))
    got = similarity({"a": a, "b": b}).cka
    assert got[0, 1] == pytest.approx(truth, rel=1e-9)
    np.testing.assert_allclose(np.diag(got), 1)
    noise = similarity({"a": normal(200, 512), "b": normal(200, 512, seed=7)}).cka[0, 1]
    assert abs(noise) < 0.05
    turned = a @ torch.linalg.qr(normal(4, 4, seed=3))[0] * 5 + 2
    assert similarity({"a": a, "b": turned}).cka[0, 1] == pytest.approx(1, rel=1e-9)
    with pytest.raises(ShapeError, match="same rows"):
        similarity({"a": a, "b": b[:9]})


def test_the_read_out_is_linear_discriminant_analysis(monkeypatch):
    monkeypatch.setattr(penalty, "RIDGES", np.array([1e-12]))
    x, y = blobs(n=300, d=6, k=4, gap=1.0)
    made = batch(x, samples(y))
    got = readout(SecondState.of(made), SampleState.of(made), SampleState.of(made))
    peer = LinearDiscriminantAnalysis(solver="svd").fit(x.numpy(), y.numpy())
    ours = x.numpy() @ got.weight.T + got.bias
    theirs = x.numpy() @ peer.coef_.T + peer.intercept_
    np.testing.assert_allclose(ours - ours[:, :1], theirs - theirs[:, :1], rtol=1e-6, atol=1e-7)
    assert got.train == peer.score(x.numpy(), y.numpy())
    assert got.confusion.sum() == 300
    assert np.trace(got.confusion) == got.correct.sum()


@pytest.mark.parametrize(("n", "d"), [(200, 200), (400, 100), (150, 200)])
def test_the_control_fits_more_with_the_ridge_of_the_true_labels_than_with_its_own(n, d):
    z = normal(n + 500, 40)
    x, y = (z @ normal(40, d, seed=1) / 6).relu(), (z[:, 0] + normal(n + 500, seed=2) > 0).long()
    train, held_out = (batch(x[part], samples(y[part], n_classes=2)) for part in (slice(n), slice(n, None)))
    second, sample = SecondState.of(train), SampleState.of(train)
    got = readout(second, sample, SampleState.of(held_out))
    rows, targets = sample.table()
    shuffled = targets[order(sample.settle().ids, 0)]
    blind = SecondState.of_rows(torch.from_numpy(rows), torch.from_numpy(shuffled)).settle()
    own = penalty.best_ridge(blind, reading.eigen(blind), rows, shuffled)
    assert own > got.ridge
    weight, bias = reading._discriminant(blind, reading.eigen(blind), own)
    guess = (rows.astype(float) @ weight.T + bias).argmax(1)
    assert got.control_train > (guess == shuffled.argmax(1)).mean() + 0.02
    assert got.control_held_out == pytest.approx(0.5, abs=0.09)  # four standard errors of 500 rows


@pytest.mark.parametrize(("n", "d"), [(80, 5), (30, 60), (31, 30), (30, 12)])
def test_the_ridge_is_that_of_brute_force_cross_validation(n, d):
    x, t = normal(n, d), normal(n, 2, seed=4)
    t[:, 0] += x[:, 0]
    second = SecondState.of_rows(x, t).settle()
    basis = eigen(second)
    ridge = penalty.best_ridge(second, basis, x.numpy(), t.numpy())
    scaled, unit, scores = x.numpy() * basis.scale, basis.values.mean(), []
    z = scaled - scaled.mean(0)
    centred = (t - t.mean(0)).numpy()
    for r in penalty.RIDGES:
        if n >= 4 * basis.rank:
            hat = z @ np.linalg.solve(z.T @ z + r * unit * np.eye(d), z.T)
            scores.append(((centred - hat @ centred) ** 2).sum() / (n - 1 - np.trace(hat)) ** 2)
        else:
            others = [np.arange(n) != i for i in range(n)]
            fits = [Ridge(alpha=r * unit).fit(scaled[rest], t.numpy()[rest]) for rest in others]
            errors = [t.numpy()[i] - fit.predict(scaled[i : i + 1])[0] for i, fit in enumerate(fits)]
            scores.append(np.mean(np.sum(np.square(errors), axis=1)))
    assert ridge == penalty.RIDGES[int(np.argmin(scores))]
    weight, bias = reading._regression(second, basis, ridge)
    peer = Ridge(alpha=ridge * unit).fit(x.numpy() * basis.scale, t.numpy())
    np.testing.assert_allclose(weight, peer.coef_ * basis.scale, rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(bias, peer.intercept_ - 0 * bias, rtol=1e-6, atol=1e-8)


def test_an_exact_simplex_has_collapsed():
    k = 4
    simplex = torch.eye(k).double() - 1 / k
    y = torch.arange(400) % k
    x = simplex[y] + 3
    made = batch(x, samples(y))
    got = collapse(SecondState.of(made), SampleState.of(made), simplex.numpy(), np.zeros(k))
    assert got.nc1 < 1e-12
    assert got.nc1_even < 1e-12
    assert got.nc2_norm < 1e-12
    assert got.nc2_angle < 1e-12
    assert got.nc3 < 1e-12
    assert got.nc4 == 0


def test_nc1_weighs_the_classes_alike():
    x, y = blobs(n=400, d=5, k=3, gap=2.0)
    rare = (y < 2) | (torch.arange(400) % 20 == 0)
    x, y = x[rare], y[rare]
    made = batch(x, samples(y))
    got = collapse(SecondState.of(made), SampleState.of(made), np.eye(3, 5), np.zeros(3))
    means = torch.stack([x[y == c].mean(0) for c in range(3)])
    between = torch.cov(means.T, correction=0)
    within = (x - means[y]).T @ (x - means[y]) / len(x)
    truth = torch.trace(within @ torch.linalg.pinv(between, rtol=1e-9)) / 3
    assert got.nc1_even == pytest.approx(float(truth), rel=1e-6)
    assert got.nc1 > 1.3 * got.nc1_even


def test_a_row_sample_is_bottom_k_by_hash_whatever_the_order():
    ids = np.arange(1000)
    x, y = normal(1000, 3).float(), torch.arange(1000) % 2
    from dataclasses import replace

    def of(rows, keep=100):
        some = replace(samples(y[rows], n_classes=2, ids=ids[rows]), keep=keep)
        return SampleState.of(batch(x[rows], some))

    best = ids[np.argsort(hashes(ids))][:100]
    order = np.random.default_rng(0).permutation(1000)
    twice = of(order[:600]) + of(order[400:])
    assert twice.settle().ids.tolist() == best.tolist()
    np.testing.assert_array_equal(twice.table()[0], x[best].numpy())
    assert (twice + of(order, keep=30)).settle().ids.tolist() == best[:30].tolist()
    assert (SampleState.empty(3, 2) + twice).settle().ids.tolist() == best.tolist()


def test_every_value_lies_in_its_bin():
    x = torch.cat([normal(500, 3) * 10.0 ** torch.randint(-20, 20, (500, 3)), torch.zeros(2, 3)]).float()
    got = histogram(HistogramState.of(batch(x, samples(torch.zeros(502, dtype=torch.int64)))))
    values = x.double().numpy().ravel()
    values = values[values != 0]
    assert got.zeros == 6
    assert got.counts.sum() == len(values)
    assert (np.diff(got.edges) > 0).all()
    below, above = (np.searchsorted(got.edges, np.sort(values), side=s) for s in ("right", "left"))
    mine = np.where(np.sort(values) > 0, below, above) - 1
    np.testing.assert_array_equal(np.bincount(mine, minlength=len(got.counts)), got.counts)
    ratio = got.edges[got.edges > 0][1:] / got.edges[got.edges > 0][:-1]
    assert ratio.max() <= 1.25 + 1e-12


def test_wide_rows_are_sampled_evenly():
    width = PER_ROW + 1
    x = torch.arange(width).float().expand(4000, width) + 1
    got = HistogramState.of(batch(x, samples(torch.zeros(4000, dtype=torch.int64)))).counts
    assert got.sum() == 4000 * (width // 2)
    last = x[0].view(torch.int32).bitwise_right_shift(21)[-1]
    share = (x[0].view(torch.int32).bitwise_right_shift(21) == last).double().mean()
    assert got[last] / got.sum() == pytest.approx(float(share), rel=0.05)


ANALYTIC = [
    (nn.ReLU(inplace=True), 0.0, np.inf, False),
    (nn.LeakyReLU(0.01), 0.0, np.inf, False),
    (nn.LeakyReLU(0.2), -np.inf, np.inf, False),
    (nn.Tanh(), -np.sqrt(0.95), np.sqrt(0.95), False),
    (nn.Sigmoid(), (1 - np.sqrt(0.95)) / 2, (1 + np.sqrt(0.95)) / 2, False),
    (nn.ReLU6(), 0.0, 6.0, False),
    (nn.Hardtanh(), -1.0, 1.0, False),
    (nn.ELU(), -0.95, np.inf, False),
    (nn.GELU(), -2.279, np.inf, True),
    (nn.SiLU(), -3.929, np.inf, True),
    (torch.sign, np.inf, np.inf, False),
]


@pytest.mark.parametrize(("function", "low", "high", "by_input"), ANALYTIC)
def test_an_activation_is_saturated_where_its_slope_is_small(function, low, high, by_input):
    got = saturation(function)
    assert (got.low, got.high) == (pytest.approx(low, abs=2e-3), pytest.approx(high, abs=2e-3))
    assert (got.pre is not None) == by_input


@pytest.mark.parametrize("layout", ["features", "maps", "tokens"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_activity_counts_units_by_hand(layout, dtype):
    z = normal(60, 5, 4).to(dtype)
    z[:, 0], z[:, 1], z[:, 2] = -1.0, z[:, 1].abs() + 0.1, z[:, 2] * 1e-3
    z = {"features": z[..., 0], "maps": z, "tokens": z.transpose(1, 2)}[layout]
    x = z.relu()
    rule = "none" if layout == "features" else "mean"
    some = samples(torch.zeros(60, dtype=torch.int64))
    got = activity(ActivityState.of(batch(x, some, view=View(layout, rule, 5), saturation=saturation(torch.relu))))
    flat = x.transpose(1, 2).flatten(0, 1) if layout == "maps" else x.flatten(0, -2)
    np.testing.assert_allclose(got.zero_share, (flat == 0).double().mean(0))
    np.testing.assert_allclose(got.flat_share, (flat <= 0).double().mean(0))
    magnitude = flat.double().abs().mean(0)
    np.testing.assert_allclose(got.score, magnitude / magnitude.mean(), rtol=1e-6)
    assert got.silent.tolist() == [True, False, False, False, False]
    assert got.always_on.tolist() == [False, True, False, False, False]
    assert got.dormant.tolist() == [True, False, True, False, False]
    assert got.silent_rate_bound == pytest.approx(1 - 0.05 ** (1 / 60))


def test_saturation_is_read_from_the_input_where_the_output_cannot_tell():
    z = torch.tensor([[-4.0, 1.0], [-5.0, 2.0]])
    how = saturation(nn.GELU())
    made = batch(nn.GELU()(z), samples(torch.zeros(2, dtype=torch.int64)), saturation=type(how)(how.low, how.high, z))
    got = activity(ActivityState.of(made))
    assert got.saturated.tolist() == [True, False]


def test_what_is_no_activation_has_no_activity_and_a_dead_layer_no_score():
    some = samples(torch.zeros(5, dtype=torch.int64))
    none = activity(ActivityState.of(batch(normal(5, 3).float().abs(), some)))
    assert np.isnan(none.zero_share).all()
    assert (none.is_judged, none.is_rectifier, none.always_on.any()) == (False, False, False)
    dead = activity(ActivityState.of(batch(torch.zeros(5, 3), some, saturation=saturation(torch.relu))))
    assert (dead.n_silent, dead.n_dormant, dead.n_saturated) == (3, 3, 0)
    assert np.isnan(dead.score).all()


@pytest.mark.parametrize(
    ("function", "says_something"),
    [(torch.relu, True), (nn.ReLU6(), True), (nn.LeakyReLU(), True), (torch.sigmoid, False),
     (nn.Softplus(), False), (torch.tanh, False), (nn.ELU(), False), (nn.GELU(), False)],
)  # fmt: skip
def test_only_a_unit_that_could_be_off_is_always_on(function, says_something):
    z = normal(40, 3).abs() + 0.1
    z[0, 1] = -1.0
    edge, some = saturation(function), samples(torch.zeros(40, dtype=torch.int64))
    edge = edge if edge.pre is None else replace(edge, pre=z)
    state = ActivityState.of(batch(function(z), some, saturation=edge))
    got = activity(ActivityState.empty(3, 1) + state)
    assert got.is_rectifier == says_something
    assert got.always_on.tolist() == [says_something, False, says_something]
    assert got.is_judged


def test_views_against_direct_computation():
    x = normal(3, 4, 5)
    mask = torch.tensor([[0, 1, 1, 0], [1, 1, 1, 1], [0, 0, 0, 0]]).bool()
    for rule, truth in {
        "mean": torch.stack([x[0, 1:3].mean(0), x[1].mean(0)]),
        "max": torch.stack([x[0, 1:3].amax(0), x[1].amax(0)]),
        "cls": torch.stack([x[0, 1], x[1, 0]]),
        "last": torch.stack([x[0, 2], x[1, 3]]),
    }.items():
        got = reduce(x, View("tokens", rule, 5), mask=mask)
        torch.testing.assert_close(got[:2], truth)
        assert got[2].isnan().all()
    maps = normal(2, 3, 4, 4)
    torch.testing.assert_close(reduce(maps, View("maps", "mean", 3)), maps.mean((2, 3)))
    torch.testing.assert_close(reduce(maps, View("maps", "max", 3)), maps.amax((2, 3)))
    torch.testing.assert_close(reduce(maps, View("maps", "flatten", 3)), maps.flatten(1))
    with pytest.raises(ShapeError, match="cls"):
        reduce(maps, View("maps", "cls", 3))
    with pytest.raises(ShapeError, match="mask"):
        reduce(x, View("tokens", "mean", 5), mask=mask[:, :2])


def test_a_fold_is_linear_and_keeps_inner_products_on_average():
    a, b = normal(40, 5000), normal(40, 5000, seed=1)
    torch.testing.assert_close(sketch(a + 2 * b, 512), sketch(a, 512) + 2 * sketch(b, 512))
    truth, got = (a * a).sum(1), sketch(a, 512).square().sum(1)
    assert float((got / truth).mean()) == pytest.approx(1, abs=0.05)
    assert sketch(torch.ones(2, 10, dtype=torch.uint8), 4).min() < 0


def test_gradients():
    states = {"a": GradientState.of(torch.full((4, 2, 2), 0.1)), "b": GradientState.of(torch.full((4, 4), 10.0))}
    got = gradients(states)
    np.testing.assert_allclose(got.norm, [0.2, 20.0], rtol=1e-6)
    assert got.orders_lost == pytest.approx(2)
    assert np.isnan(gradients({"a": GradientState.empty()}).norm).all()


@pytest.mark.parametrize(
    ("y", "n_classes", "words"),
    [
        (torch.tensor([0, 5]), 3, "got values from 0 to 5"),
        (torch.tensor([-1, 0]), 3, "got values from -1 to 0"),
        (torch.tensor([0.5, 1.0]), 3, "integers"),
        (torch.tensor([0.5, torch.nan]), None, "finite targets"),
    ],
)
def test_bad_labels_are_refused(y, n_classes, words):
    with pytest.raises(DataError, match=words):
        samples(y, n_classes=n_classes)


def test_bad_shapes_are_refused():
    some = samples(torch.tensor([0, 1]))
    for values, view in [(torch.ones(3, 2), None), (torch.ones(2, 2, 2), None), (torch.ones(2, 2), View("maps"))]:
        with pytest.raises(ShapeError):
            batch(values, some, view=view)
    with pytest.raises(ShapeError, match="ids"):
        samples(torch.tensor([0, 1]), ids=np.arange(3))
    with pytest.raises(ShapeError, match="complex"):
        batch(torch.ones(2, 2, dtype=torch.complex64), some)
