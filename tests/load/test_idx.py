"""Folders of IDX files: MNIST's format, gzipped or not."""

import gzip
import struct

import numpy as np
import pytest
import torch

from unbend.errors import LoadError
from unbend.load import data

CODES = {"uint8": 0x08, "int8": 0x09, "int16": 0x0B, "int32": 0x0C, "float32": 0x0D, "float64": 0x0E}
RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, size=(7, 4, 5), dtype=np.uint8)
LABELS = np.array([0, 1, 2, 0, 1, 2, 0], dtype=np.uint8)


def encoded(array):
    head = bytes([0, 0, CODES[array.dtype.name], array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
    return head + array.astype(array.dtype.newbyteorder(">")).tobytes()


def put(folder, name, array, *, is_gzipped=False):
    content = encoded(array)
    path = folder / (f"{name}.gz" if is_gzipped else name)
    path.write_bytes(gzip.compress(content) if is_gzipped else content)
    return path


@pytest.fixture
def mnist(tmp_path):
    put(tmp_path, "train-images-idx3-ubyte", IMAGES)
    put(tmp_path, "train-labels-idx1-ubyte", LABELS)
    return tmp_path


@pytest.mark.parametrize("is_gzipped", [True, False])
@pytest.mark.parametrize("test", ["t10k", "test"])
def test_both_parts_of_a_folder(tmp_path, is_gzipped, test):
    for part, n in (("train", 7), (test, 3)):
        put(tmp_path, f"{part}-images-idx3-ubyte", IMAGES[:n], is_gzipped=is_gzipped)
        put(tmp_path, f"{part}-labels-idx1-ubyte", LABELS[:n], is_gzipped=is_gzipped)
    got = data(str(tmp_path))
    assert got.x.dtype == torch.float32
    assert torch.equal(got.x * 255, torch.from_numpy(IMAGES).float())
    assert got.y.tolist() == LABELS.tolist()
    assert tuple(got.held_out.x.shape) == (3, 4, 5)
    assert got.name == tmp_path.name


@pytest.mark.parametrize("dtype", ["int8", "int16", "int32", "float32", "float64"])
def test_other_types_keep_their_numbers(mnist, dtype):
    values = RNG.integers(-100, 100, size=(7, 3)).astype(dtype)
    put(mnist, "train-images-idx3-ubyte", values)
    got = data(str(mnist)).x
    assert got.numpy().dtype == dtype
    assert np.array_equal(got.numpy(), values)


def test_a_file_and_its_gzipped_copy_are_one(mnist):
    put(mnist, "train-images-idx3-ubyte", IMAGES, is_gzipped=True)
    assert len(data(str(mnist)).x) == 7


def test_folders_that_are_not_clear(mnist):
    put(mnist, "emnist-train-labels-idx1-ubyte", LABELS)
    with pytest.raises(LoadError, match="several files for train-labels: emnist-train-labels-idx1-ubyte, train-"):
        data(str(mnist))


def test_folders_without_a_pair(tmp_path):
    with pytest.raises(LoadError, match=r"expected train-images\* and train-labels\* IDX files in it.*nothing"):
        data(str(tmp_path))
    (tmp_path / "notes.txt").write_text("hello")
    with pytest.raises(LoadError, match=r"It holds: notes\.txt"):
        data(str(tmp_path))
    put(tmp_path, "train-images-idx3-ubyte", IMAGES)
    with pytest.raises(LoadError, match=r"has only one of train-images\* and train-labels\*"):
        data(str(tmp_path))


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "is not an IDX file: its first bytes are missing."),
        (b"\x89PNG1234", "is not an IDX file: its first bytes are 89 50 4e 47."),
        (b"\0\0\x07\x01\0\0\0\x01a", "is not an IDX file: its first bytes are 00 00 07 01."),
        (encoded(IMAGES)[:7], "is damaged or cut short: expected"),
        (encoded(IMAGES)[:-1], "expected 156 bytes for shape [7, 4, 5], got 155."),
        (encoded(IMAGES) + b"1", "expected 156 bytes for shape [7, 4, 5], got 157."),
        (b"\0\0\x08\x03" + b"\xff" * 12, "is damaged or cut short: expected"),
    ],
)
def test_damaged_files_are_one_sentence(mnist, content, sentence):
    (mnist / "train-images-idx3-ubyte").write_bytes(content)
    with pytest.raises(LoadError) as caught:
        data(str(mnist))
    assert f"{mnist / 'train-images-idx3-ubyte'}: " in str(caught.value)
    assert sentence in str(caught.value)


@pytest.mark.parametrize("damage", [lambda c: c[:-9], lambda c: c[:20] + bytes([c[20] ^ 255]) + c[21:], lambda _: b"a"])
def test_damaged_gzip_is_one_sentence(mnist, damage):
    (mnist / "train-images-idx3-ubyte").unlink()
    path = put(mnist, "train-images-idx3-ubyte", IMAGES, is_gzipped=True)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(LoadError, match=r"idx3-ubyte\.gz: is damaged or cut short"):
        data(str(mnist))
