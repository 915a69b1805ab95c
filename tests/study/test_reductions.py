"""What a mean over positions leaves out: told as a note about the mean, never against the layer."""

import pytest
import torch
from torch import nn

import unbend
from unbend.study.values import Study

N, SEEN = 900, 600


def network() -> nn.Sequential:
    torch.manual_seed(0)
    body = nn.Sequential(nn.Conv2d(1, 6, 3, padding=1), nn.ReLU(), nn.Conv2d(6, 8, 3, padding=1), nn.ReLU())
    return nn.Sequential(body, nn.Flatten(), nn.Linear(8 * 36, 3)).eval()


def study_of(x: torch.Tensor, y: torch.Tensor) -> Study:
    parts = ((x[:SEEN], y[:SEEN]), (x[SEEN:], y[SEEN:]))
    return unbend.study(network(), parts[0], held_out=parts[1], twin=False, trials=False, layers=["0.0", "0.1", "0.3"])


@pytest.fixture(scope="module")
def by_place():
    """Classes that differ by the place of a spot: no mean over positions holds it."""
    generator = torch.Generator().manual_seed(0)
    y = torch.arange(N) % 3
    x = 0.3 * torch.randn(N, 1, 6, 6, generator=generator)
    x[torch.arange(N), 0, 2 + (y == 2), 1 + 2 * (y > 0)] += 2.0
    return study_of(x, y)


def test_what_the_mean_leaves_out_is_told_of_the_mean(by_place):
    (hit,) = [f for f in by_place.findings if f.rule == "lossy_reduction"]
    assert (hit.severity, hit.title.split(" leaves")[0]) == ("note", "The mean over positions")
    assert "no fault of the layer" in hit.why
    assert f"--reduce '{hit.layer}=flatten'" in hit.advice
    reductions = {r.layer: r for r in by_place.across["examination"].reductions}
    found = reductions[hit.layer]
    assert found.finer > found.reduced + 0.2
    assert (found.positions, found.n) == (36, N - SEEN)
    assert by_place[hit.layer].results["readout"].held_out == pytest.approx(found.reduced, abs=0.08)


def test_no_layer_is_accused_of_what_only_the_mean_loses(by_place):
    blamed = {"lost_separability", "bottleneck", "fading", "narrow_passage"}
    assert not [f.title for f in by_place.findings if f.rule in blamed and f.severity in ("problem", "warning")]


def test_where_the_mean_holds_all_nothing_is_said():
    y = torch.arange(N) % 3
    x = 0.3 * torch.randn(N, 1, 6, 6, generator=torch.Generator().manual_seed(1)) + y[:, None, None, None].float()
    found = study_of(x, y)
    reductions = found.across["examination"].reductions
    assert [r.layer for r in reductions] == ["0.0", "0.1", "0.3"]
    assert all(r.finer - r.reduced <= 0.03 for r in reductions)
    assert not [f for f in found.findings if f.rule == "lossy_reduction"]
