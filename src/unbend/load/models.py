"""A network from one line of text.

In: `file.py:name`, `package.module:name`, a `.pt2` archive, a `.keras` file or a Hugging Face folder. Out: the module.
"""

from collections.abc import Callable
from pathlib import Path

from torch import nn

from unbend.errors import LoadError, ModelError
from unbend.load import python
from unbend.load.exported import open_archive
from unbend.load.guard import check_file
from unbend.load.huggingface import open_folder
from unbend.load.keras import from_keras, is_keras, keras_file
from unbend.load.weights import fill
from unbend.load.wording import beside, readable, suggest

_NOT_CODE = {
    ".pt": "holds weights or a pickle, not the code of a network",
    ".pth": "holds weights or a pickle, not the code of a network",
    ".bin": "holds weights or a pickle, not the code of a network",
    ".ckpt": "holds weights or a pickle, not the code of a network",
    ".pkl": "is a pickle, which unbend does not open: that would run its code",
    ".pickle": "is a pickle, which unbend does not open: that would run its code",
    ".safetensors": "holds weights, not the code of a network",
}


def model(spec: str, *, weights: Path | str | None = None) -> nn.Module:
    """The network that `spec` names.

    Args:
        spec: `file.py:name` or `package.module:name`, a module, a module class or a zero-argument factory of
            one (this runs the file's code); a `.pt2` archive of `torch.export.save`; a `.keras` file; a local
            Hugging Face folder with safetensors.
        weights: a state dict (`.pt`, `.pth`, `.safetensors`) to fill what the code built.

    Raises:
        LoadError: the line names nothing that can be opened, the code raises, or the weights do not fit.
        ModelError: what it names is not a network, or one for a single batch size.
        MissingExtraError: a Hugging Face folder, without transformers; a `.keras` file, without Keras.
        UnsupportedError: a Keras model with a layer that is not translated, or on another backend than torch.

    Example:
        >>> model("torch.nn:Identity")
        Identity()
    """
    if python.is_code(spec):
        module = _from_code(spec)
        with readable(weights):
            return module if weights is None else fill(module, Path(weights).expanduser())
    if weights is not None:
        raise LoadError(f"{spec}: weights are for a network that code builds (file.py:name). Leave --weights out.")
    with readable(spec):
        return _from_disk(spec)


def factory(spec: str) -> Callable[[], nn.Module] | None:
    """What builds the network that `spec` names anew, without its weights; None where nothing does.

    Raises:
        LoadError: as `model` raises it.
    """
    return python.factory(spec, is_ready=_is_module) if python.is_code(spec) else None


def _is_module(found: object) -> bool:
    return isinstance(found, nn.Module)


def _from_disk(spec: str) -> nn.Module:
    path = _existing(spec)
    if path.is_dir():
        return open_folder(path)
    check_file(path)
    suffix = path.suffix.lower()
    if suffix == ".pt2":
        return open_archive(path)
    if suffix == ".keras":
        return keras_file(path)
    if suffix in (".h5", ".hdf5"):
        raise LoadError(f"{path}: is no network, or one in Keras's old format. Save it anew: model.save('net.keras').")
    if suffix in _NOT_CODE:
        raise LoadError(f"{path}: {_NOT_CODE[suffix]}. Give file.py:name that builds it, and this as --weights.")
    kinds = "file.py:name, package.module:name, a .pt2 archive, a .keras file, or a Hugging Face folder"
    raise LoadError(f"{path}: is not a network unbend can open. Expected {kinds}.")


def _from_code(spec: str) -> nn.Module:
    found = python.value(spec, is_ready=_is_module)
    if is_keras(found):
        return from_keras(found)
    if isinstance(found, nn.Module):
        return found
    hint = " Weights alone go to --weights." if isinstance(found, dict) else ""
    kinds = "a torch.nn.Module, or a function without arguments that returns one"
    raise ModelError(f"{spec}: expected {kinds}; got {type(found).__name__}.{hint}")


def _existing(spec: str) -> Path:
    path = Path(spec).expanduser()
    if path.exists() or path.is_symlink():  # a link that leads nowhere or in a circle: its reader says so
        return path
    raise LoadError(f"{spec}: no such file or folder. {suggest(path.name, beside(path), where='Its folder')}")
