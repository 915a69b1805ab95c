"""Trained weights into a network that the user's code built.

In: a module and a state dict on disk. Out: the same module, filled. Pickled modules are refused.
"""

import pickle
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from unbend._names import first_few
from unbend.errors import LoadError
from unbend.load.guard import check_file, check_size
from unbend.load.wording import one_line

SUFFIXES = (".pt", ".pth", ".safetensors", ".ckpt")
_INSIDE = ("state_dict", "model_state_dict", "model")


def fill(module: nn.Module, path: Path) -> nn.Module:
    """`module` with the weights of the file, every one of them and no other.

    A checkpoint that holds its state dict under `state_dict`, `model_state_dict` or `model`, and names with
    the same prefix on all of them, as DataParallel, torch.compile and Lightning leave it, are understood.

    Raises:
        LoadError: no such file, not a state dict, damaged, or names and shapes that do not fit the module.
    """
    if not path.is_file():
        raise LoadError(f"{path}: no such file of weights.")
    if path.suffix.lower() not in SUFFIXES:
        raise LoadError(f"{path}: expected weights in one of {', '.join(SUFFIXES)}.")
    check_file(path)
    found = _strip_prefix(_state_dict(path), set(module.state_dict()))
    _check_fit(path, module, found)
    try:
        module.load_state_dict(found)
    except (RuntimeError, NotImplementedError, TypeError, ValueError) as error:
        raise LoadError(f"{path}: does not fit {type(module).__name__}: {one_line(error)}.") from error
    return module


def _state_dict(path: Path) -> dict[str, Tensor]:
    check_size(path, path.stat().st_size)
    try:
        if path.suffix.lower() == ".safetensors":
            held: Any = load_file(path)
        else:
            if zipfile.is_zipfile(path):
                check_sums(path)
            held = _unpickle(path)
    except LoadError:
        raise
    except MemoryError as error:
        raise LoadError(f"{path}: needs more memory than there is.") from error
    except Exception as error:
        raise LoadError(f"{path}: is damaged or cut short, or not a file of weights.") from error
    inner = next((held[key] for key in _INSIDE if isinstance(held, dict) and isinstance(held.get(key), dict)), held)
    if not isinstance(inner, dict) or not inner or not all(isinstance(part, Tensor) for part in inner.values()):
        raise LoadError(f"{path}: expected a state dict (names to tensors), got {_words(inner)}.")
    odd = next((name for name in inner if not isinstance(name, str)), None)
    if odd is not None:
        kind = type(odd).__name__
        raise LoadError(f"{path}: expected a state dict whose names are text, got the {kind} {odd!r} as a name.")
    for name, part in inner.items():
        _check_plain(path, name, part)
    return inner


def check_sums(path: Path) -> None:
    """Every part of a zip against the checksum that stands beside it, which torch does not read.

    An archive of which no part fits was written without checksums (`torch.serialization.set_crc32_options`).

    Raises:
        LoadError: a part is damaged.
    """
    with zipfile.ZipFile(path) as archive:
        parts = archive.infolist()
        check_size(path, sum(part.file_size for part in parts))
        broken = [part.filename for part in parts if not _fits(archive, part)]
    if broken and len(broken) < len(parts):
        raise LoadError(f"{path}: is damaged or cut short: its part {broken[0]} does not match its checksum.")


def _fits(archive: zipfile.ZipFile, part: zipfile.ZipInfo) -> bool:
    try:
        with archive.open(part) as file:
            while file.read(1 << 20):
                pass
    except zipfile.BadZipFile as error:
        if "Bad CRC" not in str(error):
            raise
        return False
    return True


def _check_plain(path: Path, name: str, part: Tensor) -> None:
    """Weights must be dense numbers that are in the file."""
    kind = type(part)
    if kind not in (Tensor, nn.Parameter, nn.Buffer):
        library = kind.__module__.partition(".")[0]
        raise LoadError(
            f"{path}: {name} is a {kind.__name__} of {library}, not a plain tensor. Save the weights it stands for."
        )
    if part.is_meta:
        raise LoadError(f"{path}: {name} is on the meta device and holds no values. Save the weights themselves.")
    if part.layout != torch.strided:
        raise LoadError(f"{path}: {name} is sparse ({part.layout}). Save it dense: tensor.to_dense().")
    if part.is_quantized:
        raise LoadError(f"{path}: {name} is quantized ({part.dtype}). Save it as numbers: tensor.dequantize().")


def _unpickle(path: Path) -> Any:
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


def _words(held: object) -> str:
    if isinstance(held, dict):
        return f"a dict with {', '.join(map(str, list(held)[:6])) or 'nothing in it'}"
    return type(held).__name__


def _strip_prefix(found: dict[str, Tensor], wanted: set[str]) -> dict[str, Tensor]:
    """The same weights without the words in front that all names have and the module's do not."""
    while found and not wanted & set(found):
        first, dot, _ = next(iter(found)).partition(".")
        if not dot or not all(name.startswith(first + dot) for name in found):
            break
        found = {name.removeprefix(first + dot): part for name, part in found.items()}
    return found


def _check_fit(path: Path, module: nn.Module, found: dict[str, Tensor]) -> None:
    wanted = module.state_dict()
    missing = [name for name in wanted if name not in found]
    extra = [name for name in found if name not in wanted]
    if missing or extra:
        told = [f"{what} {first_few(names, 6)}" for what, names in (("missing", missing), ("extra", extra)) if names]
        raise LoadError(f"{path}: does not fit {type(module).__name__}: {'; '.join(told)}.")
    for name, part in found.items():
        if part.shape != getattr(wanted[name], "shape", part.shape):
            shapes = f"{list(part.shape)} in the file, {list(wanted[name].shape)} in the network"
            raise LoadError(f"{path}: does not fit {type(module).__name__}: {name} is {shapes}.")
    _check_kinds(path, wanted, found)


def _check_kinds(path: Path, wanted: Mapping[str, Any], found: Mapping[str, Tensor]) -> None:
    """No weight may lose a part of its numbers: the imaginary one, or all behind the point."""
    for name, part in found.items():
        kind = getattr(wanted[name], "dtype", part.dtype)
        if _breadth(part.dtype) > _breadth(kind):
            kinds = f"{part.dtype} in the file, {kind} in the network, which would lose a part of every number"
            raise LoadError(f"{path}: does not fit: {name} is {kinds}.")


def _breadth(dtype: torch.dtype) -> int:
    """Whole numbers 0, real ones 1, complex ones 2."""
    return 2 if dtype.is_complex else int(dtype.is_floating_point)
