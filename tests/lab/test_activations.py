"""Curves, slopes and outputs; what is wrong with them would show."""

import numpy as np
import pytest
import torch

from unbend import zoo
from unbend.lab import activations as claim


@pytest.fixture(scope="module")
def result(quick):
    return quick("activations")


def test_a_wrong_sigmoid_is_noticed(monkeypatch):
    honest = torch.sigmoid
    monkeypatch.setattr(torch, "sigmoid", lambda z: honest(0.7 * z))
    failed = " ".join(claim.holds(claim.run(0, "quick")).failed)
    assert "1 - sigmoid(10)" in failed
    assert "SiLU" in failed
    assert "softmax of two logits" in failed


def test_a_wrong_slope_is_noticed(monkeypatch):
    honest = zoo.curve

    def wrong(of, z):
        found = honest(of, z)
        return zoo.Curve(found.name, found.z, found.value, found.derivative * 1.001)

    monkeypatch.setattr(zoo, "curve", wrong)
    failed = claim.holds(claim.run(0, "quick")).failed
    assert "largest |autograd - central differences| of the slopes" in failed


def test_the_function_of_our_own_has_its_slope(result):
    np.testing.assert_allclose(result.slope[-1], 1 + np.sin(2 * result.z), atol=1e-12)
