"""Many classes: bounded memory, and a sentence where they are too many; costs are told before the work."""

import numpy as np
import pytest
import torch
from torch import nn

import unbend
from unbend.errors import DataError
from unbend.numerics.hashing import hashes
from unbend.numerics.readout import Readout, _discriminant
from unbend.numerics.second import SecondState, eigen
from unbend.numerics.view import View
from unbend.study.cost import LONG, costly
from unbend.study.labels import MOST_CLASSES
from unbend.study.values import Layer


def rows_of(k, n):
    torch.manual_seed(0)
    return torch.randn(n, 8), torch.arange(n) % k


def net(k):
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, k))


def test_five_thousand_classes_are_told_and_the_rest_is_measured():
    x, y = rows_of(5000, 6000)
    found = unbend.study(net(5000), (x, y), twin=False, measures=["moments", "spectrum", "readout"], layers=["0", "1"])
    assert found.about.task == "no labels"
    assert any("5,000 classes are more than the 1,024" in note for note in found.about.notes)
    assert found["1"].result(Readout) is None
    assert {"moments", "spectrum"} <= set(found["1"].results)


def test_the_gradients_of_many_classes_are_measured():
    x, y = rows_of(2000, 4000)
    found = unbend.study(net(2000), (x, y), twin=False, loss="cross_entropy", measures=["moments"])
    assert found.across["gradients"].norm.min() > 0


def test_probes_of_many_classes_are_refused_with_their_number():
    x, y = rows_of(2000, 4000)
    with pytest.raises(DataError, match="probes: 2,000 classes are too many"):
        unbend.study(net(2000), (x, y), twin=False, probes=True)


@pytest.mark.parametrize("k", [10**9, -4])
def test_an_absurd_number_of_classes_is_refused(k):
    x, y = rows_of(2, 100)
    with pytest.raises(DataError, match="n_classes: expected None"):
        unbend.study(net(2), (x, y), n_classes=k)


def test_the_most_classes_are_read_out():
    x, y = rows_of(MOST_CLASSES, 3 * MOST_CLASSES)
    found = unbend.study(net(MOST_CLASSES), (x, y), twin=False, measures=["readout"], layers=["1"])
    assert found.about.task == "classification"
    assert found["1"].result(Readout).weight.shape == (MOST_CLASSES, 16)


def test_discriminants_are_the_same_from_either_side():
    """Solved among the directions, where there are more classes than these, or among the classes."""
    rng = np.random.default_rng(0)
    y = rng.integers(0, 30, 400)
    x = rng.normal(size=(400, 12)) + rng.normal(size=(30, 12))[y]
    second = SecondState.of_rows(torch.from_numpy(x), nn.functional.one_hot(torch.from_numpy(y)).double()).settle()
    weight, bias = _discriminant(second, eigen(second), 1e-3)
    centred = x - x.mean(0)
    means = np.stack([x[y == c].mean(0) for c in range(30)])
    scale = 1 / np.sqrt((centred**2).sum(0))
    within = ((x - means[y]) * scale).T @ ((x - means[y]) * scale)
    ridge = 1e-3 * np.linalg.eigvalsh(second.gram * scale * scale[:, None]).mean()
    expected = (np.linalg.solve(within + ridge * np.eye(12), ((means - x.mean(0)) * scale).T) * 400).T * scale
    np.testing.assert_allclose(weight, expected, rtol=1e-6)
    assert np.isfinite(bias).all()


def test_a_wide_layer_is_told_before_the_work_with_the_option_that_avoids_it():
    maps = Layer("conv", "affine", "Conv2d", (4, 32, 32), View("maps", "flatten", 4))
    said = costly([maps], 32_768, 10, has_twin=True)
    assert "conv (4,096 columns)" in said
    assert "--reduce mean" in said
    assert "--no-twin" in said
    assert (
        costly([Layer("a", "affine", "Linear", (512,), View("features", "none", 512))], 4096, 10, has_twin=True) == ""
    )
    assert LONG == 60


def test_the_cost_is_a_warning_of_pythons_where_no_progress_is_heard(monkeypatch):
    monkeypatch.setattr("unbend.study.cost.LONG", 0.0)
    x, y = rows_of(2, 100)
    with pytest.warns(UserWarning, match="Beside the forward passes this takes about"):
        unbend.study(net(2), (x, y), twin=False, measures=["moments"])
    heard = []
    found = unbend.study(net(2), (x, y), twin=False, measures=["moments"], progress=lambda *what: heard.append(what[0]))
    said = [phase for phase in heard if phase.startswith("Beside the forward passes")]
    assert len(said) == 1
    assert said[0] in found.about.notes
    assert heard.index(said[0]) < heard.index("Training rows")


def test_targets_of_the_sample_are_one_tensor_for_all_layers():
    x, y = rows_of(50, 500)
    sums = unbend.study(net(50), (x, y), twin=False, measures=["readout"]).sums
    kept = [sums.train[layer]["SampleState"].targets[0] for layer in ("0", "1", "2")]
    assert len({targets.ctypes.data for targets in kept}) == 1
    ids = sums.train["0"]["SampleState"].ids
    assert (np.diff(hashes(ids).astype(float)) > 0).all()
    assert np.array_equal(kept[0].argmax(1), y[ids])
