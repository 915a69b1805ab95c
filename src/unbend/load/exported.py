"""Networks that `torch.export.save` wrote.

In: a `.pt2` archive. Out: a module whose submodules have the paths they had when it was exported, each called as a
module, so that hooks on them fire.
"""

import io
import logging
import warnings
import zipfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import nn
from torch.export import ExportedProgram

from unbend.errors import LoadError, ModelError
from unbend.load.guard import check_file, check_size, parsing
from unbend.load.wording import one_line


def open_archive(path: Path) -> nn.Module:
    """The network of the archive, unflattened.

    Every submodule is an `InterpreterModule`; `module.type_name()` gives the class it was exported from.
    Dropout and batch norm do what they did when the network was exported, whatever `eval()` says now. The
    archive must take batches of any size.

    torch evaluates expressions of the archive while it reads it. Objects that would be unpickled and compiled
    code are refused here, but open only archives whose maker you trust.

    Raises:
        LoadError: not such an archive, damaged, with pickled objects or compiled code.
        ModelError: exported for one batch size only.
    """
    _screen(check_file(path))
    with warnings.catch_warnings(), _quiet():
        warnings.simplefilter("ignore")  # torch's own, about its own calls and about what our sentence names
        try:
            program = torch.export.load(path)
            module = torch.export.unflatten(program)
        except Exception as error:
            raise LoadError(f"{path}: torch cannot read it: {one_line(error)}.") from error
    with parsing(path):
        _check_batch(path, program)
    return module


@contextmanager
def _quiet() -> Generator[None]:
    """Runs torch without what it logs of a damaged archive: twenty lines, of which ours is one."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(before)


def _screen(path: Path) -> None:
    """Refuse damaged archives, and parts that would run code when they are opened."""
    if not zipfile.is_zipfile(path):
        raise LoadError(f"{path}: is not a torch.export archive, or it is damaged or cut short.")
    with parsing(path), zipfile.ZipFile(path) as archive:
        check_size(path, sum(part.file_size for part in archive.infolist()))
        broken = archive.testzip()
        names = archive.namelist()
        pickled = {name: archive.read(name) for name in names if name.endswith(".pt")} if not broken else {}
    if broken:
        raise LoadError(f"{path}: is damaged: its part {broken} does not match its checksum.")
    if not any(name.endswith(("archive_format", "serialized_exported_program.json")) for name in names):
        raise LoadError(f"{path}: is a zip, but not one that torch.export.save wrote, or it is cut short.")
    if unsafe := [name for name in names if "obj_" in Path(name).name or name.endswith((".so", ".pyd", ".dll"))]:
        raise LoadError(f"{path}: holds compiled code or pickled objects ({unsafe[0]}), which unbend does not open.")
    for name, content in pickled.items():
        try:
            torch.load(io.BytesIO(content), weights_only=True)
        except Exception as error:
            raise LoadError(f"{path}: its part {name} is not plain tensors, and unbend does not unpickle.") from error


def _check_batch(path: Path, program: ExportedProgram) -> None:
    """The first axis of some input must be free."""
    inputs = set(program.graph_signature.user_inputs)
    values = [node.meta.get("val") for node in program.graph.nodes if node.name in inputs]
    sizes = [value.shape[0] for value in values if isinstance(value, torch.Tensor) and value.ndim]
    if sizes and all(isinstance(size, int) for size in sizes):
        advice = 'Export it with dynamic_shapes=({0: torch.export.Dim("batch")},).'
        raise ModelError(f"{path}: was exported for batches of exactly {sizes[0]} rows. {advice}")
