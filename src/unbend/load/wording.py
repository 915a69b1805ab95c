"""The sentences that several readers say: what is there instead, and why a file cannot be read."""

from collections.abc import Generator, Iterable
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path

from unbend._names import first_few
from unbend.errors import LoadError, UnbendError

SHOWN = 12


def suggest(name: str, names: Iterable[str], *, where: str = "It") -> str:
    """The names there are (the first twelve) and the nearest one, as the end of an error's sentence.

    Example:
        >>> suggest("nett", ["net", "build"])
        "It has: net, build. Did you mean 'net'?"
        >>> suggest("net", [])
        'It has none.'
    """
    known = list(names)
    if not known:
        return f"{where} has none."
    near = get_close_matches(name.lower(), [other.lower() for other in known], n=1)
    guess = next((f" Did you mean {other!r}?" for other in known if near and other.lower() == near[0]), "")
    return f"{where} has: {first_few(known, SHOWN)}.{guess}"


def beside(path: Path) -> list[str]:
    """The names in the folder of `path` that are not hidden; none when there is no such folder."""
    if not path.parent.is_dir():
        return []
    return sorted(other.name for other in path.parent.iterdir() if not other.name.startswith("."))


def one_line(error: BaseException) -> str:
    r"""What the error says, on one line of at most 300 characters.

    Example:
        >>> one_line(ValueError("first\n   second"))
        'first second'
    """
    words = " ".join(str(error).split())
    return words if len(words) <= 300 else f"{words[:300]} ..."


@contextmanager
def readable(place: object) -> Generator[None]:
    """The system's refusals (no permission, a broken disk) as one sentence about `place`.

    Raises:
        LoadError: instead of an OSError that is not one of ours.
    """
    try:
        yield
    except UnbendError:
        raise
    except OSError as error:
        raise LoadError(f"{place}: cannot be read: {error.strerror or one_line(error)}.") from error
