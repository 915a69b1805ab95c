"""The sets that need no file: known sizes, stated scaling, names of the classes."""

import numpy as np
import pytest
import torch
from sklearn import datasets

from unbend.errors import LoadError
from unbend.load import bundled_names, data
from unbend.load.shipped import FASHION

SIZES = {"digits": (1797, 64, 10), "iris": (150, 4, 3), "wine": (178, 13, 3), "breast_cancer": (569, 30, 2)}


@pytest.mark.parametrize(("name", "size"), SIZES.items())
def test_known_sizes_and_names(name, size):
    got = data(name)
    n, d, k = size
    assert (tuple(got.x.shape), got.x.dtype) == ((n, d), torch.float32)
    assert (got.y.dtype, got.y.unique().tolist()) == (torch.int64, list(range(k)))
    assert len(got.class_names) == k
    assert got.name == name
    assert got.held_out is None


def test_digits_are_divided_by_sixteen():
    got = data("digits")
    assert np.array_equal(got.x.numpy() * 16, datasets.load_digits().data)
    assert got.class_names == tuple("0123456789")
    assert "divided by 16" in got.source


@pytest.mark.parametrize("name", ["iris", "wine", "breast_cancer", "diabetes"])
def test_tables_are_standardised_and_say_so(name):
    x = data(name).x.double()
    assert x.mean(dim=0).abs().max() < 1e-6
    assert (x.std(dim=0, correction=0) - 1).abs().max() < 1e-6
    assert "each column standardised" in data(name).source
    assert len(set(data(name).column_names)) == x.shape[1]


def test_diabetes_has_targets_as_they_are():
    got = data("diabetes")
    assert got.class_names == ()
    assert got.y.dtype == torch.float64
    assert np.array_equal(got.y.numpy(), datasets.load_diabetes().target)


def test_every_name_is_listed_once():
    assert set(bundled_names()) == {*SIZES, "diabetes", "fashion-mnist"}
    assert len(set(bundled_names())) == len(bundled_names())


def test_a_bundled_name_wins_over_a_path_and_dot_slash_asks_for_the_path(tmp_path, monkeypatch):
    (tmp_path / "iris").mkdir()
    monkeypatch.chdir(tmp_path)
    assert len(data("iris").x) == 150
    with pytest.raises(LoadError, match="IDX files in it"):
        data("./iris")


def test_missing_fashion_mnist_names_the_package(monkeypatch, tmp_path):
    monkeypatch.setattr("unbend.load.shipped.FASHION", tmp_path / "none")
    with pytest.raises(LoadError, match="apt-get install dataset-fashion-mnist"):
        data("fashion-mnist")


@pytest.mark.fashion
@pytest.mark.skipif(not FASHION.is_dir(), reason="needs the Debian package dataset-fashion-mnist")
def test_fashion_mnist_is_whole():
    got = data("fashion-mnist")
    for part, n in ((got, 60_000), (got.held_out, 10_000)):
        assert tuple(part.x.shape) == (n, 28, 28)
        assert torch.bincount(part.y).tolist() == [n // 10] * 10
        assert (float(part.x.min()), float(part.x.max())) == (0.0, 1.0)
    assert got.class_names[int(got.y[0])] == "Ankle boot"
    assert int((got.x[0] * 255).sum().round()) == 76_247
