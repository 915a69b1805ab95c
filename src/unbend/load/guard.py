"""What stands before every reader: a plain file, a declared size that can be, and a sentence for whatever goes wrong.

In: a path, or a number of bytes that a header declares. Out: nothing, or a LoadError. Nothing is opened before
`check_file`, and nothing is read whole before its header was judged by `check_size`. It must not know any format.
"""

import os
import stat
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path

from unbend.errors import LoadError, UnbendError
from unbend.load.wording import one_line

DEFLATED = 1032
"""What deflate packs into one byte at most. Source: https://zlib.net/zlib_tech.html, "Maximum Compression Factor"."""
_KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)
_LIMITS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))


def check_file(path: Path) -> Path:
    """`path`, a plain file that is there; a link is followed.

    Opening a pipe would wait for ever, and reading a device would never end.

    Raises:
        LoadError: nothing is there, links lead in a circle, or what is there is no plain file.
    """
    try:
        mode = path.stat().st_mode
    except FileNotFoundError as error:
        raise LoadError(f"{path}: no such file.") from error
    except (OSError, ValueError) as error:
        raise LoadError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or one_line(error)}.") from error
    kind = next((word for is_kind, word in _KINDS if is_kind(mode)), None)
    if kind is not None:
        raise LoadError(f"{path}: expected a file, got {kind}. Name a file.")
    return path


def memory() -> int | None:
    """Bytes of memory that this process may use; None where the system does not say."""
    found = [int(text) for text in map(_text, _LIMITS) if text.isdecimal()]
    with suppress(AttributeError, ValueError, OSError):  # Windows has no sysconf
        found.append(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    return min(found, default=None)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return ""


def check_size(where: object, declared: int, *, most: int | None = None) -> None:
    """Judge the bytes that a header declares before they are asked for.

    Args:
        where: the file, or a part of it.
        declared: bytes the header declares.
        most: bytes that can stand behind the header; None where the file does not tell.

    Raises:
        LoadError: more than the file can hold, or more than this machine has memory.
    """
    if most is not None and declared > most:
        raise LoadError(
            f"{where}: is damaged or cut short: its header declares {declared:,} bytes, but it holds {most:,}."
        )
    there = memory()
    if there is not None and declared > there:
        raise LoadError(
            f"{where}: declares {declared:,} bytes, more than the {there:,} of the memory. Give a part of it."
        )


@contextmanager
def parsing(where: object) -> Generator[None]:
    """Whatever a reader of somebody else's format raises, as one sentence: damaged files raise nearly anything.

    Raises:
        LoadError: instead of any exception that is not ours.
    """
    try:
        yield
    except UnbendError:
        raise
    except MemoryError as error:
        raise LoadError(f"{where}: needs more memory than there is. Give a part of it.") from error
    except Exception as error:
        if isinstance(error, OSError) and error.strerror:
            raise LoadError(f"{where}: cannot be read: {error.strerror}.") from error
        words = one_line(error) or type(error).__name__
        raise LoadError(f"{where}: is damaged or cut short ({words}).") from error
