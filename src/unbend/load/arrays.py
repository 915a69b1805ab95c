"""Arrays that numpy saved: one `.npz`, or a pair of `.npy`.

In: paths. Out: `Data`. Files with pickled Python objects are refused: opening one runs its code. The header of every
array is judged before its values are asked for.
"""

import math
import re
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from unbend.errors import LoadError
from unbend.load.dataset import Data, Pair, from_arrays
from unbend.load.guard import DEFLATED, check_file, check_size, parsing

X_WORDS = ("x", "data", "images", "features", "inputs")
Y_WORDS = ("y", "target", "targets", "label", "labels")
TRAIN = ("{}", "{}_train", "train_{}")
TEST = ("{}_test", "test_{}")
VALIDATION = ("{}_val", "val_{}", "{}_valid", "valid_{}")
NAMES = ("class_names", "target_names", "label_names", "classes")
TOKENS = ("input_ids", "attention_mask", "token_type_ids", "position_ids", "pixel_values", "inputs_embeds")


def npz(path: Path) -> Data:
    """The samples and labels of an archive, found by the names of its arrays.

    Samples: x, data, images, features or inputs; labels: y, target(s) or label(s); in upper or lower case,
        plain or with `_train`, `_test`, `_val` behind or `train_`, `test_`, `val_` in front. `class_names`
        (also `target_names`, `label_names`, `classes`) name the classes. `input_ids` and the other inputs of
        Hugging Face models, when there are no samples by those names, become a dict.

    Raises:
        LoadError: not such an archive, damaged, with pickled objects, or without a recognisable pair.
    """
    with check_file(path).open("rb") as file:
        is_zip = zipfile.is_zipfile(file)
    if not is_zip:
        raise LoadError(f"{path}: is not a .npz archive, or it is damaged or cut short.")
    with parsing(path):
        _judge(path)
        with np.load(path, allow_pickle=False) as archive:
            found = by_name(path.name, archive, source=str(path))
            if found is not None:
                return found
            inputs = {key: archive[key] for key in TOKENS if key in archive}
            labels = [archive[key] for key in archive if key.lower() in Y_WORDS]
            if inputs and len(labels) == 1:
                names = _class_names(archive)
                return from_arrays(path.name, (inputs, labels[0]), class_names=names, source=str(path))
            held = ", ".join(archive) or "nothing"
    advice = "Name them x and y, x_train and y_train (with x_test and y_test), data and target, images and labels."
    raise LoadError(f"{path}: no samples with labels by their names. It holds: {held}. {advice}")


def by_name(name: str, arrays: Mapping[str, Any], *, source: str) -> Data | None:
    """The samples and labels among named arrays; None when no names fit.

    Raises:
        LoadError: the names of several fit.
    """
    train = _pair_of(name, arrays, TRAIN)
    if train is None:
        return None
    test = _pair_of(name, arrays, TEST) or _pair_of(name, arrays, VALIDATION)
    return from_arrays(name, train, test=test, class_names=_class_names(arrays), source=source)


def npy(x_path: Path, y_path: Path | None = None) -> Data:
    """The samples and labels of two files; without `y_path`, of the file and its sibling.

    The sibling of `x.npy` is `y.npy`, of `NAME_x.npy` it is `NAME_y.npy`, of `train-images.npy` it is
    `train-labels.npy`: one word of the name for samples becomes one for labels. Where `train` in the name can
    be replaced by `test` (or `val`) and both files are there, they are the test part.

    Raises:
        LoadError: no sibling or several, a damaged file, one with pickled objects.
    """
    if y_path is not None:
        return from_arrays(x_path.name, (array(x_path), array(y_path)), source=f"{x_path}, {y_path}")
    label_path = _sibling(x_path)
    test = next(filter(None, (_test_pair(x_path, label_path, word) for word in ("test", "val"))), None)
    pair = (array(x_path), array(label_path))
    return from_arrays(x_path.name, pair, test=test, source=f"{x_path}, {label_path}")


def array(path: Path) -> np.ndarray:
    """The array of one `.npy` file, mapped rather than read, so that only what is used takes memory."""
    with check_file(path).open("rb") as file, parsing(path):
        if file.read(6) != b"\x93NUMPY":
            raise LoadError(f"{path}: is not a .npy file, or it is damaged.")
        file.seek(0)
        _check_header(path, file, path.stat().st_size)
        return np.load(path, mmap_mode="c", allow_pickle=False)


def _judge(path: Path) -> None:
    """Every member of an archive by its header, unread ones too: a flipped bit in a name would hide an array."""
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise LoadError(f"{path}: is damaged: it holds {twice} twice.")
        for part in archive.infolist():
            where = f"{path}: its part {part.filename}"
            if part.flag_bits & 1:
                raise LoadError(f"{where} is protected by a password. Save it without one.")
            if part.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise LoadError(f"{where} is compressed in a way numpy does not write. Save it with numpy.savez.")
            check_size(where, part.file_size, most=part.compress_size * DEFLATED)
            with archive.open(part) as file:  # compares the name with that in front of the content
                if part.filename.endswith(".npy"):
                    _check_header(where, file, part.file_size)


def _check_header(where: object, file: Any, size: int) -> None:
    """The header of a `.npy` against the bytes that can follow it.

    Raises:
        LoadError: it declares objects, or more or less than the file holds.
    """
    version = np.lib.format.read_magic(file)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, _, dtype = read(file)
    if dtype.hasobject:
        message = f"{where}: holds pickled Python objects, which unbend does not open, for that runs code."
        raise LoadError(f"{message} Save plain arrays of numbers or strings.")
    check_size(where, math.prod(shape) * dtype.itemsize, most=size - file.tell())


def _pair_of(name: str, arrays: Mapping[str, Any], patterns: Iterable[str]) -> Pair | None:
    """The one pair of arrays whose names fit one of the patterns."""
    found = []
    for pattern in patterns:
        xs, ys = ([key for key in arrays if key.lower() in _fill(pattern, of)] for of in (X_WORDS, Y_WORDS))
        found += [(x, y) for x in xs for y in ys]
    if len(found) > 1:
        pairs = "; ".join(f"{x} with {y}" for x, y in found)
        raise LoadError(f"{name}: it is not clear which arrays to take: {pairs}. Keep one pair.")
    return (arrays[found[0][0]], arrays[found[0][1]]) if found else None


def _fill(pattern: str, words: Iterable[str]) -> set[str]:
    return {pattern.format(word) for word in words}


def _class_names(arrays: Mapping[str, Any]) -> tuple[str, ...]:
    """The names of the classes; none for the single name that scikit-learn gives a target."""
    key = next((name for name in NAMES if name in arrays), None)
    names = np.ravel(arrays[key]).tolist() if key else []
    return tuple(_word(name) for name in names) if len(names) > 1 else ()


def _word(name: object) -> str:
    return name.decode() if isinstance(name, bytes) else str(name)


def _sibling(path: Path) -> Path:
    """The file of labels that lies beside a file of samples."""
    names = _replacements(path.stem, X_WORDS, Y_WORDS)
    beside = {other.name for other in path.parent.iterdir()}
    there = [path.with_name(f"{name}.npy") for name in names if f"{name}.npy" in beside]
    if len(there) == 1:
        return there[0]
    if there:
        found = ", ".join(other.name for other in there)
        raise LoadError(f"{path}: several files of labels fit: {found}. Give both as 'X.npy,Y.npy'.")
    sought = f" (looked for {names[0]}.npy and the like)" if names else ""
    raise LoadError(f"{path}: no file of labels beside it{sought}. Give both as 'X.npy,Y.npy'.")


def _test_pair(x_path: Path, y_path: Path, word: str) -> Pair | None:
    paths = [
        path.with_name(f"{name}.npy")
        for path in (x_path, y_path)
        for name in _replacements(path.stem, ("train",), (word,))
    ]
    return (array(paths[0]), array(paths[1])) if len(paths) == 2 and all(map(Path.is_file, paths)) else None


def _replacements(stem: str, words: Iterable[str], others: Iterable[str]) -> list[str]:
    """`stem` with one of its words replaced, in every way there is.

    Example:
        >>> _replacements("train-images", ("images",), ("labels", "y"))
        ['train-labels', 'train-y']
    """
    parts = re.split(r"([_\-. ])", stem)
    return [
        "".join([*parts[:at], spelled, *parts[at + 1 :]])
        for at, part in enumerate(parts)
        if part.lower() in words
        for other in others
        for spelled in ([other.upper(), other] if part.isupper() else [other])
    ]
