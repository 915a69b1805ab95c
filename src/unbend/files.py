"""Files that appear whole or not at all.

In: a place. Out: a temporary name to write under, moved to the place when all of it is there. It must not know what
is written.
"""

import os
import secrets
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Event

from unbend.errors import RecordError

interrupted: Event = Event()
"""Set by the terminal on Ctrl-C: no file takes its place from then on. An interrupt that arrives inside a callback or a
`__del__` is swallowed there by Python, and the work goes on as if nothing had been."""


@contextmanager
def whole(path: str | os.PathLike[str], what: str) -> Iterator[Path]:
    """A temporary name beside `path`, with the same ending; its file takes that place when the block ends well.

    An exception in the block, an interrupt or a full disk leaves what was there before, and nothing beside it.

    Args:
        path: where the file goes; a link is followed.
        what: what it holds, for the sentence of an error, such as "the page".

    Raises:
        RecordError: the place is a folder or a device, or the system refuses, here or in the block.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as folder:
        ...     with whole(f"{folder}/a.txt", "the note") as temporary:
        ...         _ = temporary.write_text("all of it")
        ...     os.listdir(folder)
        ['a.txt']
    """
    temporary: Path | None = None
    try:
        target = _resolve(path)
        if target.exists() and not target.is_file():
            kind = "folder" if target.is_dir() else "device"
            raise RecordError(f"{path}: expected a file to write, got a {kind}. Name a file.")
        # The end of the name, because some writers choose their format by it; short, because names have a limit.
        temporary = target.with_name(f".tmp-{secrets.token_hex(4)}-{target.name[-48:]}")
        yield temporary
        if target.exists():
            temporary.chmod(stat.S_IMODE(target.stat().st_mode))
        if interrupted.is_set():
            raise KeyboardInterrupt
        temporary.replace(target)
    except OSError as error:
        reason = error.strerror or str(error)
        raise RecordError(f"{path}: {what} could not be written: {reason}. Choose another place.") from error
    finally:
        if temporary is not None:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)


def check_place(path: str | os.PathLike[str], what: str) -> None:
    """Raise now what `whole` would raise at the end of a long job; what is there stays as it is.

    Args:
        path: where the file will go.
        what: as in `whole`.

    Raises:
        RecordError: the place is a folder or a device, or the system refuses.
    """
    with suppress(_TriedError), whole(path, what) as temporary:
        temporary.touch(exist_ok=False)
        raise _TriedError


def check_apart(first: str | os.PathLike[str], second: str | os.PathLike[str]) -> None:
    """Refuse two places that are one file, also through links: the second write would lose the first.

    Raises:
        RecordError: they are one.
    """
    one, other = _resolve(first), _resolve(second)
    if one == other or (one.exists() and other.exists() and one.samefile(other)):
        raise RecordError(f"{first}: expected two files, but {second} is the same one. Give each a name of its own.")


def check_unread(output: str | os.PathLike[str], read: Iterable[str | os.PathLike[str]]) -> None:
    """Refuse to write over a file that the same command reads.

    Args:
        output: where a file will go.
        read: places that are read; those that are no file are none.

    Raises:
        RecordError: the output is one of them, also through links.
    """
    target = _resolve(output)
    for place in read:
        if _is_one_file(target, place):
            raise RecordError(f"{output}: is read by this command, so nothing is written over it. Name another file.")


def _is_one_file(target: Path, place: str | os.PathLike[str]) -> bool:
    try:
        return target.samefile(Path(place).expanduser())
    except (OSError, ValueError, RuntimeError):  # words that are no path, or a place where nothing is
        return False


def _resolve(path: str | os.PathLike[str]) -> Path:
    try:
        return Path(path).resolve()
    except (RuntimeError, ValueError) as error:  # links in a circle; a zero byte in the name
        what = "its links lead in a circle" if isinstance(error, RuntimeError) else str(error)
        raise RecordError(f"{path}: is no place for a file: {what}. Name another.") from error


class _TriedError(Exception):
    """Nothing is to be written after all."""
