"""All ways to compute a layer agree, and a weight that lies the wrong way does not."""

import numpy as np
import pytest
import torch

from unbend.lab import neuron as claim


@pytest.mark.parametrize("seed", range(5))
def test_it_holds(seed):
    assert claim.holds(claim.run(seed)).passed


def test_torchs_generator_is_left_alone():
    before = torch.get_rng_state()
    claim.run(0)
    assert torch.equal(before, torch.get_rng_state())


def test_another_order_of_the_weights_is_noticed(monkeypatch):
    honest = claim.by_torch
    monkeypatch.setattr(claim, "by_torch", lambda x, weight, bias: honest(x, weight[::-1].copy(), bias))
    failed = claim.holds(claim.run(0)).failed
    assert failed == ("largest difference between them",)


def test_a_forgotten_bias_is_noticed(monkeypatch):
    honest = claim.signed_distance
    monkeypatch.setattr(claim, "signed_distance", lambda point, weight, bias: honest(point, weight, 0.0))
    assert not claim.holds(claim.run(0)).passed


def test_signed_distance_by_the_closed_form():
    weight, point = np.array([3.0, 4.0]), np.array([1.0, 2.0])
    assert claim.signed_distance(point, weight, -1.0) == pytest.approx((3 + 8 - 1) / 5)
