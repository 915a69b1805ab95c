"""Trained weights into a network that the user's code built.

Comes in: a module and a state dict on disk. Goes out: the same module, filled. Pickled modules are refused.
"""

import pickle
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from unbend.errors import LoadError

SUFFIXES = (".pt", ".pth", ".safetensors")
_INSIDE = ("state_dict", "model_state_dict", "model")
_PREFIXES = ("module.", "_orig_mod.", "model.")


def fill(module: nn.Module, path: Path) -> nn.Module:
    """`module` with the weights of the file, every one of them and no other.

    A checkpoint that holds its state dict under `state_dict`, `model_state_dict` or `model`, and names with
    the prefix of DataParallel, torch.compile or Lightning on all of them, are understood.

    Raises:
        LoadError: no such file, not a state dict, damaged, or names and shapes that do not fit the module.
    """
    if not path.is_file():
        raise LoadError(f"{path}: no such file of weights.")
    if path.suffix.lower() not in SUFFIXES:
        raise LoadError(f"{path}: expected weights in one of {', '.join(SUFFIXES)}.")
    found = _stripped(_state_dict(path), set(module.state_dict()))
    _check_fit(path, module, found)
    module.load_state_dict(found)
    return module


def _state_dict(path: Path) -> dict[str, Tensor]:
    try:
        held = load_file(path) if path.suffix.lower() == ".safetensors" else _unpickled(path)
    except (RuntimeError, SafetensorError, EOFError, KeyError, ValueError) as error:
        raise LoadError(f"{path}: is damaged or cut short, or not a file of weights.") from error
    inner = next((held[key] for key in _INSIDE if isinstance(held, dict) and isinstance(held.get(key), dict)), held)
    if not isinstance(inner, dict) or not inner or not all(isinstance(part, Tensor) for part in inner.values()):
        raise LoadError(f"{path}: expected a state dict (names to tensors), got {_described(inner)}.")
    return inner


def _unpickled(path: Path) -> Any:
    """What is in the file, read by torch's restricted reader that runs no code."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # about formats, which our own sentence names
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        message = f"{path}: holds pickled Python objects, which unbend does not open: that would run their code."
        raise LoadError(f"{message} Save the state dict: torch.save(model.state_dict(), ...).") from error
    except RuntimeError as error:
        if "TorchScript" not in str(error):
            raise
        raise LoadError(f"{path}: is a TorchScript archive, not a state dict.") from error


def _described(held: object) -> str:
    if isinstance(held, dict):
        return f"a dict with {', '.join(map(str, list(held)[:6])) or 'nothing in it'}"
    return type(held).__name__


def _stripped(found: dict[str, Tensor], wanted: set[str]) -> dict[str, Tensor]:
    """The same weights without a prefix that all names have and the module's do not."""
    for prefix in _PREFIXES:
        if not wanted & set(found) and all(name.startswith(prefix) for name in found):
            found = {name.removeprefix(prefix): part for name, part in found.items()}
    return found


def _check_fit(path: Path, module: nn.Module, found: dict[str, Tensor]) -> None:
    wanted = module.state_dict()
    missing = [name for name in wanted if name not in found]
    extra = [name for name in found if name not in wanted]
    if missing or extra:
        told = [f"{what} {_listed(names)}" for what, names in (("missing", missing), ("extra", extra)) if names]
        raise LoadError(f"{path}: does not fit {type(module).__name__}: {'; '.join(told)}.")
    for name, part in found.items():
        if part.shape != getattr(wanted[name], "shape", part.shape):
            shapes = f"{list(part.shape)} in the file, {list(wanted[name].shape)} in the network"
            raise LoadError(f"{path}: does not fit {type(module).__name__}: {name} is {shapes}.")


def _listed(names: Iterable[str]) -> str:
    known = list(names)
    more = f" and {len(known) - 6} more" if len(known) > 6 else ""
    return ", ".join(known[:6]) + more
