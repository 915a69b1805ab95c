"""Directions in one file.

In: `Direction`s. Out: a `.safetensors` file, and the same again. Nothing in it is run or imported.
"""

import json
import os
from collections.abc import Sequence

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from unbend.errors import RecordError
from unbend.files import whole
from unbend.numerics.direction import Direction

_FORMAT = "unbend directions 1"


def save_directions(directions: Sequence[Direction], path: str | os.PathLike[str]) -> None:
    """Write directions to one file, whole or not at all.

    Raises:
        RecordError: the file cannot be written.
    """
    tensors = {}
    about = []
    for i, one in enumerate(directions):
        tensors |= {
            f"{i}.vector": torch.from_numpy(one.vector.copy()),
            f"{i}.origin": torch.from_numpy(one.origin.copy()),
        }
        about.append({"layer": one.layer, "name": one.name, "kind": one.kind, "length": one.length})
    with whole(path, "the directions") as temporary:
        save_file(tensors, temporary, {"format": _FORMAT, "about": json.dumps(about, allow_nan=False)})


def open_directions(path: str | os.PathLike[str]) -> tuple[Direction, ...]:
    """The directions in a file that `save_directions` wrote.

    Raises:
        RecordError: there is none, or it is something else.
    """
    try:
        with safe_open(path, "pt") as file:
            words = file.metadata() or {}
            if words.get("format") != _FORMAT:
                raise RecordError(f"{path}: expected directions that unbend saved, got another file.")
            about = json.loads(words["about"])
            ends = [
                [file.get_tensor(f"{i}.{name}").numpy() for name in ("vector", "origin")] for i in range(len(about))
            ]
            return tuple(
                Direction(**one, vector=vector, origin=origin)
                for one, (vector, origin) in zip(about, ends, strict=True)
            )
    except (OSError, SafetensorError, KeyError, TypeError, json.JSONDecodeError) as error:
        raise RecordError(f"{path}: cannot be read as directions ({type(error).__name__}: {error}).") from None
