"""The arrays of a safetensors file, without torch: numpy holds all types but bfloat16.

In: arrays by key, and words about them. Out: a file, and the same again. A tensor of bfloat16 stays one, and
only a file that has some imports torch. Must not know what the arrays mean.
"""

import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias

import safetensors
from safetensors.numpy import save_file

from unbend._typing import Array, Tensor

Stock: TypeAlias = dict[str, Array | Tensor]
"""Contiguous arrays by key; tensors where numpy has no such type."""
_NOT_IN_NUMPY = "BF16"


def write_arrays(arrays: Mapping[str, Array | Tensor], path: Path, metadata: dict[str, str]) -> None:
    """Write arrays and words into one file that is not there yet, with the rights that a new file gets.

    Raises:
        OSError: it cannot be written, for one because the disk is full.
    """
    path.touch(exist_ok=False)
    rights = stat.S_IMODE(path.stat().st_mode)
    try:
        _save(arrays, path, metadata)
    except safetensors.SafetensorError as error:
        raise OSError(str(error).removeprefix("Error while serializing: I/O error: ")) from error
    with path.open("rb+") as file:
        os.fsync(file.fileno())
    path.chmod(rights)  # safetensors leaves none for others


def _save(arrays: Mapping[str, Array | Tensor], path: Path, metadata: dict[str, str]) -> None:
    if all(isinstance(array, Array) for array in arrays.values()):
        known: Any = arrays
        save_file(known, path, metadata)
        return
    import torch
    from safetensors.torch import save_file as save_tensors

    save_tensors({key: torch.asarray(array) for key, array in arrays.items()}, path, metadata)


def read_metadata(path: str | os.PathLike[str]) -> dict[str, str]:
    """The words in a file."""
    with safetensors.safe_open(path, framework="np") as content:
        return content.metadata() or {}


def read_arrays(path: str | os.PathLike[str]) -> Stock:
    """Every array, copied out of the file."""
    with safetensors.safe_open(path, framework="np") as content:
        keys = list(content.keys())
        foreign = [key for key in keys if content.get_slice(key).get_dtype() == _NOT_IN_NUMPY]
        found: Stock = {key: content.get_tensor(key) for key in keys if key not in foreign}
    if foreign:
        with safetensors.safe_open(path, framework="pt") as content:
            found |= {key: content.get_tensor(key).clone() for key in foreign}
    return found
