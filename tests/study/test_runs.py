"""Several runs against several: the noise of seeds is told from that of rows."""

import numpy as np
import pytest
import torch
from scipy.special import ndtri
from torch import nn

import unbend
from unbend.errors import DataError, ShapeError
from unbend.numerics.runs import between_runs

RUNS = 600


def scores(rng, n_runs, common, *, p=0.85, seeds=0.1):
    """Rows read rightly by runs that differ by their seed, of simulations side by side [run, simulation, row]."""
    shift = rng.normal(size=(n_runs, common.shape[0], 1)) * seeds
    own = rng.normal(size=(n_runs, *common.shape))
    return (0.8 * common + 0.6 * own < ndtri(p) + shift).astype(float)


@pytest.mark.parametrize(("a", "b"), [(2, 2), (3, 3), (5, 4)])
@pytest.mark.parametrize("seeds", [0.1, 0.3])
def test_intervals_hold_for_other_rows_and_other_seeds(a, b, seeds):
    rng = np.random.default_rng(7 * a + b)
    common = rng.normal(size=(RUNS, 300))
    first, second = (scores(rng, n, common, seeds=seeds) for n in (a, b))
    found = between_runs(first, second)  # a simulation each in the place of a layer
    covered = np.mean((found.low <= 0) & (found.high >= 0))
    assert 0.93 <= covered <= 0.98
    rows_only = np.mean(np.abs(found.change) > 1.96 * found.rows)
    assert rows_only > 0.15  # what the noise of rows alone would call a change
    families = [between_runs(first[:, i : i + 10], second[:, i : i + 10]) for i in range(0, RUNS, 10)]
    told = np.mean([family.is_beyond_noise.any() for family in families])
    assert told <= 0.05 + 1.64 * np.sqrt(0.05 * 0.95 / len(families))


def test_without_noise_of_seeds_the_interval_is_never_too_short():
    rng = np.random.default_rng(1)
    common = rng.normal(size=(RUNS, 300))
    found = between_runs(*(scores(rng, 3, common, seeds=0.0) for _ in range(2)))
    assert np.mean((found.low <= 0) & (found.high >= 0)) >= 0.94


def test_one_run_a_side_knows_nothing_of_seeds():
    rng = np.random.default_rng(2)
    common = rng.normal(size=(4, 400))
    found = between_runs(scores(rng, 1, common), scores(rng, 3, common, p=0.97))
    assert not found.knows_seeds
    assert np.isnan(found.seeds).all()
    assert found.is_beyond_rows.all()
    assert not found.is_beyond_noise.any()
    assert found.error == pytest.approx(found.rows)


def test_runs_must_meet_the_same_rows():
    with pytest.raises(ShapeError, match="same layers and rows"):
        between_runs(np.zeros((2, 1, 5)), np.zeros((2, 1, 6)))
    with pytest.raises(DataError, match="two rows"):
        between_runs(np.zeros((2, 1, 1)), np.zeros((2, 1, 1)))


X = torch.randn(900, 6, generator=torch.Generator().manual_seed(0))
Y = (X[:, 0] + 0.8 * torch.randn(900, generator=torch.Generator().manual_seed(1)) > 0).long()


def run(seed, *, sees=True):
    """A study of a network whose first units see the column that tells, or not, under a seed."""
    torch.manual_seed(seed)
    net = nn.Sequential(nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, 2))
    with torch.no_grad():
        net[0].weight[:, 0] *= float(sees)
    return unbend.study(net, (X[:500], Y[:500]), held_out=(X[500:], Y[500:]), twin=False, trials=False)


@pytest.fixture(scope="module")
def groups():
    return [run(seed) for seed in (0, 1)], [run(seed, sees=False) for seed in (2, 3)]


def test_a_change_beyond_rows_and_seeds_is_told_with_both_noises(groups):
    found = unbend.compare_runs(*groups)
    assert (found.runs.n_first, found.runs.n_second, found.runs.n) == (2, 2, 400)
    at = found.layers.index("1")
    first, second = ([study["1"].results["readout"].held_out for study in side] for side in groups)
    assert found.held_out_first[at] == pytest.approx(np.mean(first))
    assert found.change[at] == pytest.approx(np.mean(second) - np.mean(first))
    assert found.runs.seeds[at] == pytest.approx(np.sqrt(np.var(first, ddof=1) / 2 + np.var(second, ddof=1) / 2))
    assert "beyond the noise of rows and seeds" in found.verdict
    assert found.first.endswith("(2 runs)")


def test_seeds_that_differ_are_no_change(groups):
    found = unbend.compare_runs(groups[0], groups[0])
    assert not found.is_beyond_noise.any()
    assert "None of" in found.verdict


def test_other_held_out_rows_are_refused(groups):
    other = unbend.study(
        nn.Sequential(nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, 2)), (X[:500], Y[:500]), held_out=(X[600:], Y[600:]),
        twin=False, trials=False,
    )  # fmt: skip
    with pytest.raises(DataError, match="other held-out rows"):
        unbend.compare_runs(groups[0], [other])
    with pytest.raises(DataError, match="a study on each side"):
        unbend.compare_runs(groups[0], [])
