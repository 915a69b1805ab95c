"""What numpy saved: the pair is found by names, and nothing pickled is opened."""

import itertools

import numpy as np
import pytest

from unbend.errors import DataError, LoadError
from unbend.load import data

X = np.arange(12, dtype=np.float32).reshape(6, 2)
Y = np.array([0, 1, 2, 0, 1, 2])


@pytest.mark.parametrize(
    ("x", "y"),
    [*itertools.product(("x", "X", "data", "images", "features", "inputs"), ("y", "Y", "target", "targets", "labels"))],
)
def test_npz_finds_the_pair_by_its_names(tmp_path, x, y):
    np.savez(tmp_path / "a.npz", **{x: X, y: Y, "seed": 3})
    got = data(str(tmp_path / "a.npz"))
    assert np.array_equal(got.x.numpy(), X)
    assert got.y.tolist() == Y.tolist()
    assert (got.held_out, got.name) == (None, "a.npz")


@pytest.mark.parametrize(
    ("train", "test"),
    [
        ("{}_train", "{}_test"),
        ("train_{}", "test_{}"),
        ("{}", "{}_test"),
        ("X_train", "X_test"),
        ("{}_train", "{}_val"),
    ],
)
@pytest.mark.parametrize("compressed", [True, False])
def test_npz_finds_the_test_part(tmp_path, train, test, compressed):
    keys = [(train.format("x"), X), (train.format("y").replace("X", "y"), Y)]
    keys += [(test.format("x"), X[:2] + 1), (test.format("y").replace("X", "y"), Y[:2])]
    (np.savez_compressed if compressed else np.savez)(tmp_path / "a.npz", **dict(keys))
    got = data(str(tmp_path / "a.npz"))
    assert len(got.x) == 6
    assert np.array_equal(got.held_out.x.numpy(), X[:2] + 1)


def test_npz_prefers_the_test_part_to_the_validation_part(tmp_path):
    np.savez(tmp_path / "a.npz", x_train=X, y_train=Y, x_val=X[:2], y_val=Y[:2], x_test=X[:3], y_test=Y[:3])
    assert len(data(str(tmp_path / "a.npz")).held_out.x) == 3


@pytest.mark.parametrize("key", ["class_names", "target_names", "classes"])
@pytest.mark.parametrize("kind", [str, np.bytes_])
def test_npz_carries_class_names(tmp_path, key, kind):
    np.savez(tmp_path / "a.npz", x=X, y=Y, **{key: np.array(["ant", "bee", "cow"], dtype=kind)})
    assert data(str(tmp_path / "a.npz")).class_names == ("ant", "bee", "cow")


def test_npz_of_token_inputs_becomes_a_dict(tmp_path):
    ids = np.ones((3, 5), dtype=np.int64)
    np.savez(tmp_path / "texts.npz", input_ids=ids, attention_mask=ids, labels=np.array(["a", "b", "a"]))
    got = data(str(tmp_path / "texts.npz"))
    assert list(got.x) == ["input_ids", "attention_mask"]
    assert (got.y.tolist(), got.class_names) == ([0, 1, 0], ("a", "b"))


@pytest.mark.parametrize(
    ("arrays", "sentence"),
    [
        ({"a": X, "b": Y}, "no samples with labels by their names. It holds: a, b. Name them x and y,"),
        ({"x": X}, "It holds: x."),
        ({}, "It holds: nothing."),
        (
            {"x": X, "X": X, "y": Y},
            "it is not clear which arrays to take: x with y; X with y. Keep one pair.",
        ),
        (
            {"x": X, "y": Y, "x_train": X, "y_train": Y},
            "not clear which arrays to take: x with y; x_train with y_train",
        ),
        (
            {"x": X, "y": np.array([1, "a", None] * 2, dtype=object)},
            "pickled Python objects, which unbend does not",
        ),
    ],
)
def test_npz_without_a_clear_pair_is_refused(tmp_path, arrays, sentence):
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(LoadError) as caught:
        data(str(tmp_path / "a.npz"))
    assert "a.npz: " in str(caught.value)
    assert sentence in str(caught.value)


def test_unpickling_never_happens(tmp_path):
    class Bomb:
        def __reduce__(self):
            return (open, (str(tmp_path / "exploded"), "w"))

    np.savez(tmp_path / "a.npz", x=np.array([Bomb()] * 6, dtype=object), y=Y)
    np.save(tmp_path / "x.npy", np.array([Bomb()] * 6, dtype=object))
    np.save(tmp_path / "y.npy", Y)
    for spec in ("a.npz", "x.npy"):
        with pytest.raises(LoadError, match="pickled Python objects"):
            data(str(tmp_path / spec))
    assert not (tmp_path / "exploded").exists()


@pytest.mark.parametrize("share", [0.0, 0.3, 0.7, 0.99])
def test_a_truncated_npz_is_one_sentence(tmp_path, share):
    np.savez_compressed(tmp_path / "a.npz", x=np.random.default_rng(0).normal(size=(50, 9)), y=np.zeros(50, int))
    content = (tmp_path / "a.npz").read_bytes()
    (tmp_path / "a.npz").write_bytes(content[: int(share * len(content))])
    with pytest.raises(LoadError, match="damaged or cut short"):
        data(str(tmp_path / "a.npz"))


def test_an_npz_with_flipped_bytes_is_one_sentence(tmp_path):
    np.savez(tmp_path / "a.npz", x=np.zeros((50, 9)), y=np.zeros(50, int))
    content = bytearray((tmp_path / "a.npz").read_bytes())
    content[1000] ^= 0xFF
    (tmp_path / "a.npz").write_bytes(content)
    with pytest.raises(LoadError, match=r"a\.npz: is damaged or cut short \(Bad CRC"):
        data(str(tmp_path / "a.npz"))


@pytest.mark.parametrize(
    ("x", "y"),
    [
        ("x", "y"),
        ("X", "y"),
        ("X", "Y"),
        ("set_x", "set_y"),
        ("a-images", "a-labels"),
        ("my data", "my target"),
    ],
)
def test_npy_finds_its_sibling(tmp_path, x, y):
    np.save(tmp_path / f"{x}.npy", X)
    np.save(tmp_path / f"{y}.npy", Y)
    got = data(str(tmp_path / f"{x}.npy"))
    assert np.array_equal(got.x.numpy(), X)
    assert got.y.tolist() == Y.tolist()
    assert got.held_out is None


def test_npy_finds_the_test_part(tmp_path):
    for name, array in {"x_train": X, "y_train": Y, "x_test": X[:2], "y_test": Y[:2]}.items():
        np.save(tmp_path / f"{name}.npy", array)
    assert len(data(str(tmp_path / "x_train.npy")).held_out.x) == 2


def test_npy_pair_by_both_names(tmp_path):
    np.save(tmp_path / "one.npy", X)
    np.save(tmp_path / "two.npy", Y)
    got = data(f"{tmp_path / 'one.npy'}, {tmp_path / 'two.npy'}")
    assert np.array_equal(got.x.numpy(), X)


def test_npy_is_mapped_and_the_file_is_never_written(tmp_path):
    np.save(tmp_path / "x.npy", X)
    np.save(tmp_path / "y.npy", Y)
    before = (tmp_path / "x.npy").read_bytes()
    data(str(tmp_path / "x.npy")).x.mul_(0)
    assert (tmp_path / "x.npy").read_bytes() == before


def test_npy_without_or_with_two_siblings_is_refused(tmp_path):
    np.save(tmp_path / "x.npy", X)
    with pytest.raises(LoadError, match=r"no file of labels beside it \(looked for y\.npy and the like\)"):
        data(str(tmp_path / "x.npy"))
    np.save(tmp_path / "y.npy", Y)
    np.save(tmp_path / "labels.npy", Y)
    with pytest.raises(LoadError, match=r"several files of labels fit: y\.npy, labels\.npy"):
        data(str(tmp_path / "x.npy"))
    np.save(tmp_path / "odd.npy", X)
    with pytest.raises(LoadError, match=r"odd\.npy: no file of labels beside it\. Give both as"):
        data(str(tmp_path / "odd.npy"))


def test_damaged_npy_is_one_sentence(tmp_path):
    np.save(tmp_path / "y.npy", Y)
    (tmp_path / "x.npy").write_bytes(b"hello")
    with pytest.raises(LoadError, match=r"x\.npy: is not a \.npy file, or it is damaged"):
        data(str(tmp_path / "x.npy"))
    np.save(tmp_path / "x.npy", X)
    content = (tmp_path / "x.npy").read_bytes()
    for length in (8, 40, len(content) - 4):
        (tmp_path / "x.npy").write_bytes(content[:length])
        with pytest.raises(LoadError, match=r"x\.npy: is damaged or cut short"):
            data(str(tmp_path / "x.npy"))
    with pytest.raises(LoadError, match=r"gone\.npy: no such file"):
        data(f"{tmp_path / 'gone.npy'},{tmp_path / 'y.npy'}")


def test_lengths_and_emptiness_are_checked(tmp_path):
    np.savez(tmp_path / "a.npz", x=X, y=Y[:5])
    with pytest.raises(DataError, match=r"a\.npz: x: 6 rows, but 5 labels"):
        data(str(tmp_path / "a.npz"))
    np.savez(tmp_path / "a.npz", x=X[:0], y=Y[:0])
    with pytest.raises(DataError, match=r"a\.npz: x: is empty"):
        data(str(tmp_path / "a.npz"))
