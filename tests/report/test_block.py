"""The data of a page: what is packed is what is read."""

import json

import numpy as np
import pytest
from blocks import unpacked

from unbend.report.block import Figure, pack


def read(data, layer=0, n_layers=2):
    packed = pack([Figure("view", layer, data)], n_layers)
    return unpacked(packed)[0]


def test_every_kind_of_array_comes_back():
    data = {
        "numbers": np.array([1.5, np.nan, -np.inf]),
        "huge": np.array([1e-60, 1e60]),
        "counts": np.array([1, -2, 2**31 - 1]),
        "flags": np.array([True, False]),
        "bytes": np.array([0, 255], np.uint8),
        "words": ["<b>", "é"],
        "value": np.float64(2.5),
        "none": float("nan"),
        "nested": [{"x": np.array([3.0])}],
    }
    back = read(data)
    assert np.array_equal(back["numbers"], np.float32([1.5, np.nan, -np.inf]), equal_nan=True)
    assert back["huge"].tolist() == [1e-60, 1e60]
    assert back["counts"].tolist() == [1, -2, 2**31 - 1]
    assert back["flags"].tolist() == [1, 0]
    assert back["bytes"].tolist() == [0, 255]
    assert (back["words"], back["value"], back["none"]) == (["<b>", "é"], 2.5, None)
    assert back["nested"][0]["x"].tolist() == [3.0]


@pytest.mark.parametrize("scale", [1e-12, 1.0, 1e30])
def test_coordinates_are_kept_to_a_65_000th_of_their_range(scale):
    points = scale * np.random.default_rng(0).normal(size=(500, 2)) + [0, 3 * scale]
    points[7] = np.nan
    back = read({"points": points})["points"].reshape(-1, 2)
    assert np.isnan(back[7]).all()
    good = np.isfinite(points).all(1)
    assert (np.abs(back - points)[good] <= np.ptp(points[good], axis=0) / 65_000).all()


def test_coordinates_of_one_point_and_of_none():
    assert np.allclose(read({"points": np.array([[2.0, -1.0]])})["points"], [2, -1])
    assert read({"points": np.zeros((0, 2))})["points"].size == 0
    assert np.isnan(read({"points": np.full((3, 2), np.nan)})["points"]).all()


def test_an_array_that_stands_there_already_is_not_written_again():
    ids = np.arange(600)
    packed = pack([Figure("view", layer, {"ids": ids}) for layer in range(3)], 3)
    assert [bool(block) for block in packed.blocks] == [True, False, False, False]
    assert all(figure["ids"].tolist() == ids.tolist() for figure in unpacked(packed))


def test_the_head_is_no_markup():
    packed = pack([], 0, classes=["</script><b>"])
    assert "<" not in packed.head
    assert json.loads(packed.head)["classes"] == ["</script><b>"]
