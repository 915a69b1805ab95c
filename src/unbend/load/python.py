"""A value from the user's own Python: `file.py:name` or `package.module:name`.

In: such a line. Out: the value of that name, or what its zero-argument factory returns. This runs
the user's code, with the rights of whoever started unbend, and must not know what the value is for.
"""

import ast
import importlib
import inspect
import os
import re
import sys
import sysconfig
import traceback
from collections.abc import Callable, Generator
from contextlib import contextmanager, nullcontext
from hashlib import sha256
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

from unbend.errors import LoadError
from unbend.load.wording import beside, one_line, readable, suggest

_PRIVATE = "_unbend_"
_DOTTED = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")


def is_code(spec: str) -> bool:
    """Whether `spec` names a value in Python code, and not a file of data or weights.

    Example:
        >>> [is_code(spec) for spec in ("net.py:build", "net.py", "pkg.nets:Small", "digits", "a/b.npz")]
        [True, True, True, False, False]
    """
    place, colon, name = spec.rpartition(":")
    if not colon:
        return spec.endswith(".py")
    return bool(_DOTTED.fullmatch(name)) and (place.endswith(".py") or bool(_DOTTED.fullmatch(place)))


def value(spec: str, *, is_ready: Callable[[object], bool]) -> Any:
    """The value that `spec` names; when it is not ready and can be called, what calling it returns.

    The folder of `file.py`, or the working directory for `package.module`, is on `sys.path` while the code
    runs and no longer. A file runs once: the second name from the same file comes from the same run.

    Args:
        spec: `file.py:name` or `package.module:name`; a name may have dots, as in `nets.py:Zoo.small`.
        is_ready: tells a value that is to be returned as it is from a factory that is to be called.

    Raises:
        LoadError: the file or the name is missing, the code raises, or the factory needs arguments.
    """
    place, _, name = spec.rpartition(":")
    if not place:
        raise LoadError(f"{spec}: expected FILE.py:NAME. {suggest('', _names_in(Path(spec)))}")
    is_file = place.endswith(".py")
    folder = _existing(Path(place).expanduser()).parent if is_file else Path.cwd()
    with _on_path(folder), _own_modules(folder) if is_file else nullcontext():
        module = _run_file(Path(place).expanduser().resolve()) if is_file else _import(place)
        found = _attribute(module, name, place)
        return found if is_ready(found) or not callable(found) else _call(found, spec, folder)


def factory(spec: str, *, is_ready: Callable[[object], bool]) -> Callable[[], Any] | None:
    """What `spec` names, where that has to be called to give a value: calls it again, as `value` did.

    Args:
        spec: as `value` takes it.
        is_ready: as `value` takes it.

    Returns:
        A function that may raise `LoadError`; None where the name stands for the value itself.

    Raises:
        LoadError: the file or the name is missing, or the code raises.
    """
    found = value(spec, is_ready=lambda held: is_ready(held) or callable(held))
    return None if is_ready(found) else lambda: value(spec, is_ready=is_ready)


@contextmanager
def _on_path(folder: Path) -> Generator[None]:
    """`folder` on `sys.path`, and gone again afterwards.

    It stands before installed packages and behind Python's own modules, so that a `statistics.py` in it is not what
    torch imports when it asks for that.
    """
    entry = str(folder.resolve())
    own = {sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib")}
    own |= {os.path.join(place, "lib-dynload") for place in own}  # noqa: PTH118  places of sys.path are strings
    sys.path.insert(max((i + 1 for i, place in enumerate(sys.path) if place in own), default=0), entry)
    try:
        yield
    finally:
        if entry in sys.path:
            sys.path.remove(entry)


@contextmanager
def _own_modules(folder: Path) -> Generator[None]:
    """Let a file find the modules of its own folder, not those of the same name that another file took from another.

    A module stays in `sys.modules` until another folder needs its name: code of the user may import it late.
    """
    mine = _taken.setdefault(str(folder.resolve()), {})
    for other in _taken.values():
        for name, module in other.items():
            if other is not mine and sys.modules.get(name) is module and _has_module(folder, name.partition(".")[0]):
                del sys.modules[name]
    sys.modules.update({name: module for name, module in mine.items() if name not in sys.modules})
    before = set(sys.modules)
    try:
        yield
    finally:
        mine.update({n: m for n, m in list(sys.modules.items()) if n not in before and _is_under(m, folder)})


_taken: dict[str, dict[str, ModuleType]] = {}
"""The modules that files took from their folders, by folder and name."""


def _has_module(folder: Path, name: str) -> bool:
    return (folder / f"{name}.py").is_file() or (folder / name).is_dir()


def _is_under(module: ModuleType, folder: Path) -> bool:
    """Whether a module lies in that folder, and is none of the files that were named themselves."""
    file = getattr(module, "__file__", None) or next(
        iter(getattr(module, "__path__", ())), None
    )  # a folder without one
    is_named = getattr(module, "__name__", "").startswith(_PRIVATE)
    return not is_named and file is not None and Path(file).resolve().is_relative_to(folder.resolve())


def _existing(path: Path) -> Path:
    if not path.is_file():
        code = [name for name in beside(path) if name.endswith(".py")]
        raise LoadError(f"{path}: no such file. {suggest(path.name, code, where='Its folder')}")
    return path


def _run_file(path: Path) -> ModuleType:
    """The file as a module with a name of its own; the same content is run only once."""
    with readable(path):
        source = path.read_bytes()
    name = f"{_PRIVATE}{path.stem}_{sha256(str(path).encode() + source).hexdigest()[:16]}"
    if name in sys.modules:
        return sys.modules[name]
    spec = spec_from_file_location(name, path)
    if spec is None:  # pragma: no cover (a name that ends in .py always has a loader)
        raise LoadError(f"{path}: Python has no loader for it.")
    module = module_from_spec(spec)
    sys.modules[name] = module
    try:
        exec(compile(source, str(path), "exec"), module.__dict__)  # noqa: S102 (running it is what was asked for)
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        raise LoadError(f"{path}: running it raised {_error_words(error, path.parent)}.") from error
    return module


def _import(dotted: str) -> ModuleType:
    try:
        return importlib.import_module(dotted)
    except (Exception, SystemExit) as error:
        if isinstance(error, ModuleNotFoundError) and error.name and f"{dotted}.".startswith(f"{error.name}."):
            message = f"{dotted}: no module named {error.name!r} here ({Path.cwd()}) or among the installed ones."
            raise LoadError(message) from error
        raise LoadError(f"{dotted}: importing it raised {_error_words(error, Path.cwd())}.") from error


def _attribute(module: ModuleType, name: str, place: str) -> Any:
    found: Any = module
    for part in name.split("."):
        try:
            found = getattr(found, part)
        except AttributeError as error:
            raise LoadError(f"{place}: no {part!r} in it. {suggest(part, _public(found))}") from error
    return found


def _call(factory: Callable[..., Any], spec: str, folder: Path) -> Any:
    """What the factory returns when called without arguments."""
    try:
        inspect.signature(factory).bind()
    except TypeError as error:
        message = f"{spec}: needs arguments ({error}). Name a function without arguments that calls it."
        raise LoadError(message) from error
    except ValueError:
        pass  # some builtins have no signature; calling them tells
    try:
        return factory()
    except (Exception, SystemExit) as error:
        raise LoadError(f"{spec}: calling it raised {_error_words(error, folder)}.") from error


def _error_words(error: BaseException, folder: Path) -> str:
    """The error's own words, with the last line of the user's code that led to it."""
    words = f"{type(error).__name__}: {one_line(error)}".rstrip(": .")
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if frame.filename.startswith(str(folder.resolve()) + os.sep)]
    if isinstance(error, SyntaxError) or not own:
        return words
    return f"{words} (line {own[-1].lineno} of {Path(own[-1].filename).name})"


def _public(owner: object) -> list[str]:
    return [name for name, held in vars(owner).items() if name[0] != "_" and not isinstance(held, ModuleType)]


def _names_in(path: Path) -> list[str]:
    """The names a file defines at its top level, found without running it."""
    try:
        with readable(path):
            body = ast.parse(_existing(path).read_bytes()).body
    except (SyntaxError, ValueError) as error:
        raise LoadError(f"{path}: {one_line(error)}.") from error
    kinds = ast.FunctionDef | ast.ClassDef
    defined = [node.name for node in body if isinstance(node, kinds)]
    targets = [target for node in body if isinstance(node, ast.Assign) for target in node.targets]
    return [*defined, *(target.id for target in targets if isinstance(target, ast.Name))]
