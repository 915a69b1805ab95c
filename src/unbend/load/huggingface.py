"""Networks in a local Hugging Face folder.

In: a folder with `config.json` and safetensors. Out: the module, with the head its config names.
No network is used, no pickle opened, no code of the folder run.
"""

import importlib
import json
import re
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from torch import nn

from unbend._names import first_few
from unbend.errors import LoadError, MissingExtraError
from unbend.load.guard import check_file, check_size, parsing
from unbend.load.wording import one_line

_LAYERS = re.compile(r"layers?$|blocks$|depths?$")
"""What configs call the number of their layers."""
_LAYERS_PER_TENSOR, _LAYERS_AT_LEAST = 10, 100
"""Layers that share their weights are more than these; no network has ten times as many."""


def open_folder(folder: Path) -> nn.Module:
    """The network of the folder: the class its config names, else `AutoModel`'s choice; in evaluation mode.

    Raises:
        LoadError: no config, weights that are pickled, missing or damaged, code of its own.
        MissingExtraError: transformers is not installed.
    """
    if not (folder / "config.json").is_file():
        raise LoadError(f"{folder}: expected a Hugging Face folder with a config.json in it.")
    weights = list(folder.glob("*.safetensors"))
    if not weights:
        advice = "unbend does not open pickled ones. Write them anew: model.save_pretrained(folder)."
        raise LoadError(f"{folder}: no weights in safetensors; {advice}")
    for path in (*weights, *folder.glob("*.json")):
        check_size(check_file(path), path.stat().st_size)
    _check_layers(folder, weights)
    transformers = _transformers()
    with _quiet(transformers):
        try:
            config = transformers.AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
            kind = _class(transformers, config)
            module, told = kind.from_pretrained(
                folder, config=config, local_files_only=True, use_safetensors=True, output_loading_info=True
            )
        except Exception as error:
            words = f"{type(error).__name__}: {one_line(error)}"
            raise LoadError(f"{folder}: transformers cannot load it ({words}).") from error
    if missing := sorted(told["missing_keys"]):
        advice = "They would be random. To measure it like that, load it in a file.py:name."
        raise LoadError(f"{folder}: has no weights for {first_few(missing, 4)} of {kind.__name__}. {advice}")
    return module


def _check_layers(folder: Path, weights: Sequence[Path]) -> None:
    """A config that asks for far more layers than there are weights is damaged, and would be built for hours."""
    n_tensors = 0
    for path in weights:
        try:
            with safe_open(path, framework="pt") as file:
                n_tensors += len(file.keys())
        except SafetensorError as error:
            raise LoadError(f"{folder}: transformers cannot load it ({path.name}: {one_line(error)}).") from error
    most = _LAYERS_PER_TENSOR * n_tensors + _LAYERS_AT_LEAST
    with parsing(folder / "config.json"):
        numbers = list(_numbers(json.loads((folder / "config.json").read_text(encoding="utf-8"))))
    for name, number in numbers:
        if _LAYERS.search(name) and not number <= most:
            raise LoadError(
                f"{folder}: its config.json asks for {name} = {number:,}, and the folder has {n_tensors} weights. "
                "It is damaged, or of another network."
            )


def _numbers(config: Any, name: str = "") -> Iterator[tuple[str, float]]:
    """All numbers of a config, by their own names."""
    if isinstance(config, dict):
        for key, value in config.items():
            yield from _numbers(value, key)
    elif isinstance(config, list):
        for value in config:
            yield from _numbers(value, name)
    elif isinstance(config, int | float):
        yield name, config


def _transformers() -> Any:
    try:
        return importlib.import_module("transformers")
    except ImportError as error:
        message = "Hugging Face folders need transformers, which is not installed."
        raise MissingExtraError(f"{message} Install it: pip install 'unbend[transformers]'.") from error


def _class(transformers: Any, config: Any) -> Any:
    """The class the config names, where transformers has it."""
    named = (getattr(config, "architectures", None) or [""])[0]
    return getattr(transformers, named, None) or transformers.AutoModel


@contextmanager
def _quiet(transformers: Any) -> Generator[None]:
    """Runs transformers without its progress bar and load report, put back afterwards."""
    log = transformers.utils.logging
    level, has_bar = log.get_verbosity(), log.is_progress_bar_enabled()
    log.set_verbosity_error()
    log.disable_progress_bar()
    try:
        yield
    finally:
        log.set_verbosity(level)
        if has_bar:
            log.enable_progress_bar()
