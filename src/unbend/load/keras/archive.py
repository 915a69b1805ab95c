"""A `.keras` file, opened without running anything of its own.

In: a path. Out: the network, as `from_keras` makes it. What the file names is looked at before Keras is: nothing but
layers that are translated, and what belongs to them.
"""

import importlib
import json
import os
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from unbend.errors import LoadError, MissingExtraError, UnsupportedError
from unbend.load.guard import check_file, check_size, parsing
from unbend.load.keras.layers import LAYERS
from unbend.load.keras.network import ATTENTION, NESTED, KerasNet, from_keras
from unbend.load.keras.parts import MERGES
from unbend.load.wording import one_line

_HARMLESS = ("keras.initializers", "keras.regularizers", "keras.constraints", "keras.dtype_policies", "keras")
"""Modules whose objects a layer may hold: they are numbers and names, and run nothing that a file could choose."""
_LAYERS = ("keras.layers", "keras.models", "keras.ops", "keras.src.layers", "keras.src.models", "keras.src.ops")
_PLAIN = ("__keras_tensor__", "__tuple__", "__typespec__", "DTypePolicy")
_CODE = ("Lambda", "TorchModuleWrapper")
"""Layers of Keras that hold code, as bytes or as a pickle."""
_NOT_READ = ("compile_config", "build_config")
"""Parts of a file that Keras is told to leave alone."""


def keras_file(path: Path) -> KerasNet:
    """The network in a `.keras` file, as `from_keras` makes it.

    Raises:
        LoadError: it is no such file, is damaged, or holds code.
        MissingExtraError: Keras is not installed.
        UnsupportedError: a layer that is not known, or Keras runs on another backend already.
    """
    _screen(check_file(path))
    keras = _keras()
    if keras.backend.backend() != "torch":
        raise UnsupportedError(
            f"{path}: Keras runs on {keras.backend.backend()} here. Set KERAS_BACKEND=torch before it is imported."
        )
    try:
        model = keras.saving.load_model(path, compile=False, safe_mode=True)
    except Exception as error:
        raise LoadError(f"{path}: Keras cannot open it ({type(error).__name__}: {one_line(error)}).") from error
    return from_keras(model)


def _screen(path: Path) -> None:
    """Refuse damaged files, and names of anything but layers that are translated."""
    if not zipfile.is_zipfile(path):
        raise LoadError(f"{path}: is not a .keras file of Keras 3, or it is damaged or cut short.")
    with parsing(path), zipfile.ZipFile(path) as archive:
        check_size(path, sum(part.file_size for part in archive.infolist()))
        if broken := archive.testzip():
            raise LoadError(f"{path}: is damaged: its part {broken} does not match its checksum.")
        if "config.json" not in archive.namelist():
            raise LoadError(f"{path}: is a zip, but not one that Keras 3 wrote, or it is cut short.")
        named = list(_objects(json.loads(archive.read("config.json"))))
    for home, kind, registered in named:
        _check_object(path, home, kind, registered)


def _check_object(path: Path, home: str, kind: str, registered: str) -> None:
    """Refuse what is no layer of Keras's own, and what no layer of Keras holds."""
    is_layer = home.startswith(_LAYERS)
    is_known = kind in _PLAIN if home == "" else is_layer or home in _HARMLESS
    if kind in _CODE or ">" in registered or not is_known:
        raise LoadError(
            f"{path}: holds code of its own ({kind}), and unbend runs no code of a file. Save a model of Keras's own "
            "layers."
        )
    if is_layer and kind not in (*LAYERS, *MERGES, *NESTED, ATTENTION, "InputLayer"):
        raise UnsupportedError(f"{path}: holds a layer {kind}, which unbend does not translate to torch. Leave it out.")


def _objects(config: Any) -> Iterator[tuple[str, str, str]]:
    """Module, class and registered name of everything that a config builds."""
    if isinstance(config, list):
        for part in config:
            yield from _objects(part)
    elif isinstance(config, dict):
        if "class_name" in config:
            home, registered = (str(config.get(key) or "") for key in ("module", "registered_name"))
            yield home, str(config["class_name"]), registered
        for key, part in config.items():
            if key not in _NOT_READ:
                yield from _objects(part)


def _keras() -> Any:
    """Keras; imported here for the first time, it gets the torch backend."""
    if "keras" in sys.modules:
        return sys.modules["keras"]
    before = os.environ.get("KERAS_BACKEND")
    os.environ["KERAS_BACKEND"] = "torch"
    try:
        return importlib.import_module("keras")
    except ImportError as error:
        raise MissingExtraError(".keras files need Keras. Run: pip install 'unbend[keras]'.") from error
    finally:
        if before is None:
            os.environ.pop("KERAS_BACKEND", None)
        else:
            os.environ["KERAS_BACKEND"] = before
