"""XOR overlaps with four halves; AND does not overlap, and the claim says so."""

from dataclasses import replace

import numpy as np
import torch

from unbend import zoo
from unbend.lab import xor_impossible as claim


def test_it_holds_with_four_halves():
    result = claim.run()
    assert claim.holds(result).passed
    np.testing.assert_array_equal(result.weights, 0.5)


def test_labels_that_a_line_separates_are_noticed(monkeypatch):
    corners = zoo.xor()
    monkeypatch.setattr(zoo, "xor", lambda: replace(corners, y_train=torch.tensor([0, 0, 0, 1])))
    verdict = claim.holds(claim.run())
    assert not verdict.passed
    assert not verdict.checks[0].passed


def test_another_point_is_noticed(monkeypatch):
    corners = zoo.xor()
    moved = corners.x_train + torch.tensor([[0.0, 0.0], [0.0, 0.0], [0.0, 0.0], [0.0, 0.25]])
    monkeypatch.setattr(zoo, "xor", lambda: replace(corners, x_train=moved))
    assert not claim.holds(claim.run()).passed
