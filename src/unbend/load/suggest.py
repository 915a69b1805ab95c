"""What to say when a name is not there: what is, and what was probably meant."""

from collections.abc import Iterable
from difflib import get_close_matches

SHOWN = 12


def suggest(name: str, names: Iterable[str]) -> str:
    """The names there are (the first twelve) and the nearest one, as the end of an error's sentence.

    Example:
        >>> suggest("nett", ["net", "build"])
        "It has: net, build. Did you mean 'net'?"
        >>> suggest("net", [])
        'It has none.'
    """
    known = list(names)
    if not known:
        return "It has none."
    more = f" and {len(known) - SHOWN} more" if len(known) > SHOWN else ""
    near = get_close_matches(name.lower(), [other.lower() for other in known], n=1)
    guess = next((f" Did you mean {other!r}?" for other in known if near and other.lower() == near[0]), "")
    return f"It has: {', '.join(known[:SHOWN])}{more}.{guess}"
