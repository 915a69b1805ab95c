"""Folders of IDX files, the format of MNIST and its relatives, gzipped or not.

In: a folder. Out: `Data` with its test part. Format: two zero bytes, a byte for the type, a byte for the number of
axes, each length as a big-endian uint32, then the values. Source: http://yann.lecun.com/exdb/mnist/
"""

import gzip
import math
import struct
from pathlib import Path
from typing import Any

import numpy as np

from unbend.errors import LoadError
from unbend.load.dataset import Data, Pair, from_arrays
from unbend.load.guard import DEFLATED, check_file, check_size, parsing

_TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
_MOST_AXES = 8
"""Videos in colour have five; numpy itself takes 64."""


def folder(path: Path, *, class_names: tuple[str, ...] = (), source: str = "") -> Data:
    """The images and labels of a folder: `train-images*`, `train-labels*`; the same of `t10k` or `test`.

    Images of bytes become float32 in [0, 1] (divided by 255) with their own shape `[n, 28, 28]`; others keep
    their numbers.

    Raises:
        LoadError: files missing, several sets in one folder, a damaged file.
    """
    files = sorted(file for file in path.iterdir() if file.is_file())
    train = _pair(path, files, "train")
    if train is None:
        held = ", ".join(file.name for file in files[:8]) or "nothing"
        raise LoadError(f"{path}: expected train-images* and train-labels* IDX files in it. It holds: {held}.")
    test = _pair(path, files, "t10k") or _pair(path, files, "test")
    told = source or f"IDX files in {path}, bytes divided by 255"
    return from_arrays(path.resolve().name, train, test=test, class_names=class_names, source=told)


def _pair(path: Path, files: list[Path], part: str) -> Pair | None:
    images, labels = (_one(path, files, f"{part}-{kind}") for kind in ("images", "labels"))
    if images is None and labels is None:
        return None
    if images is None or labels is None:
        raise LoadError(f"{path}: has only one of {part}-images* and {part}-labels*.")
    x = array(images)
    if x.dtype == np.uint8:
        x = x.astype(np.float32)
        x /= 255
    return x, array(labels)


def _one(path: Path, files: list[Path], word: str) -> Path | None:
    """The one file with this word in its name; a file and its gzipped copy count as one."""
    found = {file.name.removesuffix(".gz"): file for file in reversed(files) if word in file.name}
    if len(found) > 1:
        raise LoadError(f"{path}: several files for {word}: {', '.join(sorted(found))}. Keep one set per folder.")
    return next(iter(found.values()), None)


def array(path: Path) -> np.ndarray:
    """The array of one IDX file, in the machine's byte order.

    Raises:
        LoadError: not an IDX file, or fewer or more values than its header says.
    """
    size = check_file(path).stat().st_size
    is_packed = path.suffix == ".gz"
    with parsing(path), gzip.open(path) if is_packed else path.open("rb") as file:
        dtype, shape = _header(path, file)
        expected = math.prod(shape) * dtype.itemsize
        start = 4 + 4 * len(shape)
        if is_packed:
            check_size(path, start + expected, most=size * DEFLATED)
        elif start + expected != size:
            raise LoadError(f"{path}: is damaged or cut short: {_lengths(start + expected, shape, size)}.")
        check_size(path, start + expected)
        content = file.read(expected + 1)  # one more: a longer file is refused, and gzip checks its sum at the end
        if len(content) != expected:
            raise LoadError(
                f"{path}: is damaged or cut short: {_lengths(start + expected, shape, start + len(content))}."
            )
        return np.frombuffer(content, dtype).reshape(shape).astype(dtype.newbyteorder("="))


def _header(path: Path, file: Any) -> tuple[np.dtype, tuple[int, ...]]:
    """The type and the shape."""
    head = file.read(4)
    if len(head) < 4 or head[:2] != b"\0\0" or head[2] not in _TYPES:
        raise LoadError(f"{path}: is not an IDX file: its first bytes are {head.hex(' ') or 'missing'}.")
    n_axes = head[3]
    if not 1 <= n_axes <= _MOST_AXES:
        raise LoadError(f"{path}: is damaged: expected 1 to {_MOST_AXES} axes, its header says {n_axes}.")
    lengths = file.read(4 * n_axes)
    if len(lengths) < 4 * n_axes:
        raise LoadError(f"{path}: is damaged or cut short: expected {n_axes} lengths, the file ends before.")
    shape = struct.unpack(f">{n_axes}I", lengths)
    if 0 in shape:
        raise LoadError(f"{path}: holds no values: its shape is {list(shape)}.")
    return np.dtype(_TYPES[head[2]]), shape


def _lengths(expected: int, shape: tuple[int, ...], found: int) -> str:
    return f"expected {expected:,} bytes for shape {list(shape)}, got {found:,}"
