"""The two consoles. Knows nothing that is slow to import, so that help and a mistyped command come at once.

No text is ever parsed on its way to a terminal: names of files, classes and layers are the user's, and a bracket in
them is a bracket. What is bold or coloured is a `Text` that says so.
"""

import unicodedata
from collections.abc import Iterable, Iterator
from threading import Event

from rich.console import Console, ConsoleOptions, ConsoleRenderable, RenderHook
from rich.segment import Segment
from rich.text import Text

INTERRUPTED = 130
"""Exit status after Ctrl-C."""
told: Event = Event()
"""Set by a command that has said itself that it was interrupted."""
_PICTURES = 0x2400
"""The signs that stand for control characters begin here: U+241B is that of ESC."""


def printable(text: str, *, keep: str = "\n") -> str:
    r"""Text as it may go to a terminal: what would steer it, or cannot be encoded, becomes one visible sign.

    Args:
        text: from anywhere: names of files and columns, words of errors and studies.
        keep: control characters that stay.

    Example:
        >>> printable("a\x1b[31m"), printable("a\nb", keep="")
        ('a␛[31m', 'a␊b')
    """
    return "".join(letter if letter in keep or not _is_steering(letter) else _sign(letter) for letter in text)


def _is_steering(letter: str) -> bool:
    return unicodedata.category(letter) in ("Cc", "Cs") or unicodedata.bidirectional(letter) in (
        "LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI",
    )  # fmt: skip


def _sign(letter: str) -> str:
    code = ord(letter)
    return chr(_PICTURES + code) if code < 0x20 else "\N{REPLACEMENT CHARACTER}"


class _Printable:
    """Renders what it is given, every piece of its text made printable."""

    def __init__(self, inner: ConsoleRenderable) -> None:
        self._inner = inner

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Segment]:
        for segment in console.render(self._inner, options):
            yield segment if segment.control else Segment(printable(segment.text), segment.style)


class _Hook(RenderHook):
    """Makes everything printable that a console prints, whoever made it."""

    def process_renderables(self, renderables: list[ConsoleRenderable]) -> list[ConsoleRenderable]:
        return [_Printable(renderable) for renderable in renderables]


def _console(*, stderr: bool) -> Console:
    console = Console(stderr=stderr, highlight=False, emoji=False, markup=False)
    console.push_render_hook(_Hook())
    return console


def errors() -> Console:
    """The console for everything that is not the result."""
    return _console(stderr=True)


def results() -> Console:
    """The console for results."""
    return _console(stderr=False)


def say(sentences: Iterable[str]) -> None:
    """Print sentences, each on a line of its own; `names in backticks` stand without them."""
    for words in sentences:
        results().print(Text(words.replace("`", "")), soft_wrap=True)


def wrote(*places: object, end: str = ".") -> Text:
    r"""The last line of a command that wrote files.

    Args:
        places: the files.
        end: what follows them.

    Example:
        >>> wrote("a.html", "[red]b.unbend", end=" in 2.0 s.").plain
        '\nWrote a.html and [red]b.unbend in 2.0 s.'
    """
    names = Text(" and ").join(Text(str(place), style="bold") for place in places)
    return Text.assemble("\nWrote ", names, end)
