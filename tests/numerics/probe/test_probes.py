from dataclasses import fields, is_dataclass

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from unbend.errors import DataError, LayerError, ShapeError
from unbend.numerics.interval import wilson
from unbend.numerics.probe import ProbeRecipe, probe
from unbend.numerics.probe.control import control_labels, shuffle, types_of
from unbend.numerics.probe.split import folds_of, held_out_mask

QUICK = ProbeRecipe(l2=(1e-1, 1e-2, 1e-3), n_types=12)


def layers(n=600, k=3, seed=0):
    rng = np.random.default_rng(seed)
    y = rng.integers(0, k, n)
    centre = rng.normal(size=(k, 4)) * 3
    return {"noise": rng.normal(size=(n, 6)), "clear": centre[y] + rng.normal(size=(n, 4))}, y


def test_weights_read_the_raw_representation():
    h, y = layers()
    found = probe({"clear": h["clear"][:400]}, y[:400] * 10 - 7, test=({"clear": h["clear"][400:]}, y[400:] * 10 - 7))
    clear = found.layers["clear"]
    told = found.classes[(h["clear"][400:] @ clear.weight.T + clear.bias).argmax(1)]
    np.testing.assert_array_equal(told == y[400:] * 10 - 7, clear.right)
    assert clear.accuracy == clear.right.mean()
    assert (clear.low, clear.high) == tuple(float(v) for v in wilson(clear.right.sum(), 200))
    assert found.n == 400
    assert found.n_test == 200
    assert clear.optimality.is_converged


def test_it_is_scikit_learn_s_model():
    h, y = layers()
    x, l2 = h["clear"][:400], 1e-2
    found = probe({"x": x}, y[:400], test=({"x": h["clear"][400:]}, y[400:]), recipe=ProbeRecipe(l2=l2, gap=1e-10))
    scale = x.std(0)
    peer = LogisticRegression(C=1 / (l2 * 400), tol=1e-10, max_iter=10_000).fit((x - x.mean(0)) / scale, y[:400])
    np.testing.assert_allclose(found.layers["x"].weight * scale, peer.coef_, atol=1e-4)
    assert found.layers["x"].path is None


def test_signal_noise_and_controls():
    h, y = layers(1200)
    found = probe(h, y, recipe=ProbeRecipe(n_folds=3, n_types=12))
    clear, noise = found.layers["clear"], found.layers["noise"]
    assert clear.low > 0.8
    assert noise.low < 1 / 3 + 0.06
    assert clear.control.selectivity.low > 0.2
    assert clear.control.n_types == 12
    assert clear.folds.accuracy.mean() == pytest.approx(clear.accuracy, abs=0.06)
    assert abs(clear.control.capacity - clear.control.chance) < 0.12
    difference = found.difference("clear", "noise")
    assert difference.low > 0.3
    assert difference.difference == pytest.approx(clear.accuracy - noise.accuracy)


def test_a_wide_layer_memorises_shuffled_labels():
    rng = np.random.default_rng(0)
    y = np.arange(400) % 2
    found = probe({"wide": rng.normal(size=(400, 350))}, y, recipe=ProbeRecipe(l2=1e-4, n_types=0))
    wide = found.layers["wide"]
    assert wide.control.capacity > 0.95
    assert wide.low < 0.5 < wide.high
    assert wide.control.task_accuracy is wide.control.selectivity is None


def test_batches_are_the_same_as_arrays():
    h, y = layers()
    h = {name: v.astype(np.float32) for name, v in h.items()}
    batches = ({name: torch.from_numpy(v[i : i + 100]) for name, v in h.items()} for i in range(0, 600, 100))
    whole, streamed = probe(h, y, recipe=QUICK), probe(batches, y, recipe=QUICK)
    for name in h:
        np.testing.assert_array_equal(whole.layers[name].weight, streamed.layers[name].weight)


def test_the_same_seed_gives_the_same_probe():
    h, y = layers()
    first, second = (probe(h, y, recipe=QUICK).layers["noise"] for _ in range(2))
    np.testing.assert_array_equal(first.weight, second.weight)
    other = probe(h, y, recipe=ProbeRecipe(l2=QUICK.l2, seed=1)).layers["noise"]
    assert (first.weight != other.weight).any()


def test_given_types_are_the_control_task():
    rng = np.random.default_rng(0)
    word = rng.integers(0, 8, 800)
    y = rng.integers(0, 2, 800)
    h = np.eye(8)[word] + 0.01 * rng.normal(size=(800, 8))
    found = probe({"words": h}, y, types=word * 3, recipe=ProbeRecipe(l2=1e-4)).layers["words"]
    assert found.control.n_types == 8
    assert found.control.task_accuracy > 0.99, "a layer that tells all words apart learns any labels of words"
    assert found.control.selectivity.high < -0.3


def test_control_labels_that_leave_classes_out():
    h, y = layers(k=6)
    for types in (np.zeros(600, int), np.arange(600) % 2):
        found = probe(h, y, types=types, recipe=QUICK).layers["clear"].control
        assert found.task_accuracy <= 1
    assert probe(h, y, types=np.zeros(600, int), recipe=QUICK).layers["clear"].control.task_accuracy == 1


def test_extreme_rows():
    y = np.arange(60) % 3
    h = np.eye(3)[y]
    scaled = {"tiny": h * 1e-30, "huge": h * 1e30, "constant": np.ones((60, 2)), "half": torch.from_numpy(h).half()}
    found = probe(scaled, y, recipe=ProbeRecipe(l2=1e-2, n_types=0))
    assert [found.layers[name].accuracy for name in ("tiny", "huge", "half")] == [1, 1, 1]
    assert found.layers["constant"].accuracy == pytest.approx(1 / 3)
    assert not found.layers["constant"].weight.any()


def test_a_class_with_a_single_row_is_fitted():
    h, y = layers(100)
    y[0] = 77
    assert 77 in probe(h, y, recipe=QUICK).classes


def test_results_hold_only_plain_values():
    h, y = layers()
    plain = (np.ndarray, int, float, bool, str, type(None))

    def check(value):
        if is_dataclass(value):
            for field in fields(value):
                check(getattr(value, field.name))
        elif isinstance(value, dict):
            for key, item in value.items():
                assert isinstance(key, str)
                check(item)
        else:
            assert type(value) in plain

    check(probe(h, y, recipe=ProbeRecipe(l2=QUICK.l2, n_folds=2)))


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"y": np.zeros(600, int)}, DataError, "two classes"),
        ({"y": np.zeros(600)}, DataError, "regress"),
        ({"y": np.zeros(599, int)}, ShapeError, "one row for each label"),
        ({"representations": {}}, DataError, "at least one layer"),
        ({"representations": {"conv": np.zeros((600, 2, 2))}}, ShapeError, "Flatten"),
        ({"representations": {"bad": np.full((600, 2), np.nan)}}, DataError, "bad: expected finite"),
        ({"types": np.zeros(3, int)}, ShapeError, "types"),
        ({"recipe": ProbeRecipe(l2=0.0)}, DataError, "positive penalties"),
        ({"recipe": ProbeRecipe(test_share=1.5)}, DataError, "share"),
        ({"test": ({"noise": np.zeros((3, 6))}, np.zeros(3, int))}, ShapeError, "clear"),
        ({"test": ({"noise": np.zeros((3, 6))}, np.full(3, 9))}, DataError, "class 9"),
    ],
)
def test_probe_refuses(change, error, words):
    h, y = layers()
    arguments = {"representations": h, "y": y, **change}
    with pytest.raises(error, match=words):
        probe(**arguments)
    with pytest.raises(LayerError, match="'x'"):
        probe({"h": h["clear"]}, y, recipe=QUICK).difference("h", "x")


def test_splits_keep_every_class():
    y = torch.tensor([0] * 100 + [1] * 10 + [2])
    out = held_out_mask(y, 0.3, 0)
    assert torch.bincount(y[out], minlength=3).tolist() == [30, 3, 0]
    fold = folds_of(y[:110], 5, 0)
    assert torch.bincount(fold[:100]).tolist() == [20] * 5
    assert torch.bincount(fold[100:]).tolist() == [2] * 5


def test_control_labels():
    y = torch.arange(90) % 3
    assert torch.equal(shuffle(y, 1).sort().values, y.sort().values)
    types = torch.arange(90) // 9
    told = control_labels(types, y, 3, 0)
    assert all(len(told[types == t].unique()) == 1 for t in range(10))
    h = torch.randn(50, 3, generator=torch.Generator().manual_seed(0))
    found = types_of(h, h, 7, 0)
    assert torch.equal(found[:50], found[50:])
    assert len(found.unique()) == 7
