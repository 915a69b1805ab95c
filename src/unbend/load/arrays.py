"""Arrays that numpy saved: one `.npz`, or a pair of `.npy`.

Comes in: paths. Goes out: `Data`. Files with pickled Python objects are refused: opening one runs its code.
"""

import re
import zipfile
import zlib
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from unbend.errors import LoadError, UnbendError
from unbend.load.dataset import Data, Pair, from_arrays

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
    if not zipfile.is_zipfile(path):
        raise LoadError(f"{path}: is not a .npz archive, or it is damaged or cut short.")
    with _told(path), np.load(path, allow_pickle=False) as archive:
        keys = tuple(archive.files)
        train = _pair_of(path, keys, TRAIN)
        if train is None:
            return _tokens(path, archive, keys)
        test = _pair_of(path, keys, TEST) or _pair_of(path, keys, VALIDATION)
        return from_arrays(
            path.name,
            _read(archive, train),
            test=test and _read(archive, test),
            class_names=_class_names(archive),
            source=str(path),
        )


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
    with _told(path):
        if not path.is_file():
            raise LoadError(f"{path}: no such file.")
        with path.open("rb") as file:
            if file.read(6) != b"\x93NUMPY":
                raise LoadError(f"{path}: is not a .npy file, or it is damaged.")
        return np.load(path, mmap_mode="c", allow_pickle=False)


@contextmanager
def _told(path: Path) -> Generator[None]:
    """What numpy says of a damaged or pickled file, as one sentence."""
    try:
        yield
    except UnbendError:
        raise
    except (ValueError, EOFError, OSError, zipfile.BadZipFile, zlib.error, SyntaxError) as error:
        if "allow_pickle" in str(error) or "Python objects" in str(error):
            message = f"{path}: holds pickled Python objects, which unbend does not open, for that runs code."
            raise LoadError(f"{message} Save plain arrays of numbers or strings.") from error
        if isinstance(error, OSError) and error.strerror:
            raise LoadError(f"{path}: cannot be read: {error.strerror}.") from error
        raise LoadError(f"{path}: is damaged or cut short ({' '.join(str(error).split())}).") from error


def _read(archive: Any, keys: tuple[str, str]) -> Pair:
    return archive[keys[0]], archive[keys[1]]


def _pair_of(path: Path, keys: tuple[str, ...], patterns: Iterable[str]) -> tuple[str, str] | None:
    """The one pair of keys that fits one of the patterns."""
    found = []
    for pattern in patterns:
        xs, ys = ([key for key in keys if key.lower() in _filled(pattern, of)] for of in (X_WORDS, Y_WORDS))
        found += [(x, y) for x in xs for y in ys]
    if len(found) > 1:
        pairs = "; ".join(f"{x} with {y}" for x, y in found)
        raise LoadError(f"{path}: it is not clear which arrays to take: {pairs}. Keep one pair.")
    return found[0] if found else None


def _filled(pattern: str, words: Iterable[str]) -> set[str]:
    return {pattern.format(word) for word in words}


def _tokens(path: Path, archive: Any, keys: tuple[str, ...]) -> Data:
    """Inputs of a Hugging Face model, by their own names."""
    inputs = {key: archive[key] for key in TOKENS if key in keys}
    labels = [key for key in keys if key.lower() in Y_WORDS]
    if not inputs or len(labels) != 1:
        held = ", ".join(keys) or "nothing"
        raise LoadError(
            f"{path}: no samples with labels by their names. It holds: {held}. Name them x and y, "
            "x_train and y_train (with x_test and y_test), data and target, or images and labels."
        )
    pair = (inputs, archive[labels[0]])
    return from_arrays(path.name, pair, class_names=_class_names(archive), source=str(path))


def _class_names(archive: Any) -> tuple[str, ...]:
    key = next((name for name in NAMES if name in archive.files), None)
    names = archive[key] if key else np.array([], dtype=str)
    return tuple(name.decode() if isinstance(name, bytes) else str(name) for name in names.ravel().tolist())


def _sibling(path: Path) -> Path:
    """The file of labels that lies beside a file of samples."""
    names = _replaced(path.stem, X_WORDS, Y_WORDS)
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
        for name in _replaced(path.stem, ("train",), (word,))
    ]
    return (array(paths[0]), array(paths[1])) if len(paths) == 2 and all(map(Path.is_file, paths)) else None


def _replaced(stem: str, words: Iterable[str], others: Iterable[str]) -> list[str]:
    """`stem` with one of its words replaced, in every way there is.

    Example:
        >>> _replaced("train-images", ("images",), ("labels", "y"))
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
