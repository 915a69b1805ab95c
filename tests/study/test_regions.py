"""Regions, boundaries and slices of modules are those of their arrays."""

import numpy as np
import pytest
import torch
from torch import nn

import unbend
from unbend.capture.lower import PiecewiseCurve
from unbend.errors import DataError, ModelError, ShapeError

SQUARE = unbend.Plane.box((-1.0, -1.0), (1.0, 1.0))


class Hat(nn.Module):
    def forward(self, x):
        return torch.clamp(1 - x.abs(), min=0)


def seeded(*modules):
    torch.manual_seed(0)
    for module in modules:
        if hasattr(module, "reset_parameters"):
            module.reset_parameters()
    return nn.Sequential(*modules).double().eval()


def net():
    return seeded(nn.Linear(2, 16), nn.ReLU(), nn.Linear(16, 3))


def test_a_slice_in_one_dimension_has_the_zeros_of_the_units():
    model = seeded(nn.Linear(1, 20), nn.ReLU(), nn.Linear(20, 3))
    found = unbend.slice_1d(model, np.array([-1.0]), np.array([1.0]))
    zeros = (-model[0].bias / model[0].weight[:, 0]).detach().numpy()
    zeros = np.sort(zeros[np.abs(zeros) < 1])
    assert len(zeros) > 3
    assert np.abs(found.t[1:-1] - (1 + zeros) / 2).max() < 1e-12
    values = model(torch.from_numpy(2 * found.t[:, None] - 1)).detach().numpy()
    assert np.abs(found.values - values).max() < 1e-12
    assert np.abs(np.diff(values, axis=0) - found.slopes * np.diff(found.t)[:, None]).max() < 1e-12


def test_a_slice_between_images_is_the_module_at_every_breakpoint():
    model = seeded(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(36, 5))
    start, end = np.random.default_rng(0).standard_normal((2, 1, 8, 8))
    found = unbend.slice_1d(model, start, end)
    points = torch.from_numpy(start + found.t[:, None, None, None] * (end - start))
    assert len(found.t) > 20
    assert np.abs(found.values - model(points).detach().numpy()).max() < 1e-11


def test_a_slice_takes_rows_with_the_shape_of_a_sample_and_activations_of_your_own():
    model = seeded(nn.Flatten(), nn.Linear(9, 7), Hat(), nn.Linear(7, 2))
    start, end = 3 * np.random.default_rng(1).standard_normal((2, 9))
    custom = {Hat: PiecewiseCurve((-1.0, 0.0, 1.0), (0.0, 1.0, -1.0, 0.0))}
    found = unbend.slice_1d(model, start, end, input_shape=(1, 3, 3), custom=custom)
    points = torch.from_numpy(start + found.t[:, None] * (end - start))
    assert len(found.t) > 4
    assert np.abs(found.values - model(points).detach().numpy()).max() < 1e-12


def test_a_slice_of_arrays_is_that_of_their_module():
    start, end = np.array([-1.0, 0.3]), np.array([0.9, -0.7])
    of_module, of_arrays = (unbend.slice_1d(model, start, end) for model in (net(), unbend.lower(net(), (2,))))
    assert np.array_equal(of_module.t, of_arrays.t)
    assert np.array_equal(of_module.values, of_arrays.values)


def test_a_point_that_the_model_does_not_take_is_refused():
    with pytest.raises(ModelError):
        unbend.slice_1d(net(), np.zeros(3), np.ones(3))
    with pytest.raises(ShapeError, match="two points of one shape"):
        unbend.slice_1d(net(), np.zeros(2), np.ones(3))
    with pytest.raises(ShapeError, match="expected 2 numbers"):
        unbend.slice_1d(net(), np.zeros(2), np.ones(2), input_shape=(3,))


def test_the_boundary_of_a_module_is_that_of_its_cells():
    of_module, of_cells = unbend.boundary(net(), SQUARE), unbend.boundary(unbend.cells(net(), SQUARE))
    assert len(of_module.segments) > 3
    assert np.array_equal(of_module.segments, of_cells.segments)
    assert np.array_equal(of_module.class_areas, of_cells.class_areas)


def test_a_boundary_needs_one_plane_and_all_cells():
    with pytest.raises(DataError, match="beside a model"):
        unbend.boundary(net())
    with pytest.raises(DataError, match="beside cells"):
        unbend.boundary(unbend.cells(net(), SQUARE), SQUARE)
    with pytest.raises(ShapeError, match="at least one output"):
        unbend.boundary(net(), SQUARE, max_cells=2)
