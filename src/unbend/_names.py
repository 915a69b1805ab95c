"""Names: that of the input among the layers, and many in one sentence."""

from collections.abc import Sequence

INPUT = "input"
"""The name under which the model's inputs stand among the layers, and feed them."""


def first_few(names: Sequence[str], most: int = 5) -> str:
    """The first few names, and how many more there are.

    Example:
        >>> first_few(["a", "b", "c"]), first_few(["a", "b", "c"], 2)
        ('a, b, c', 'a, b and 1 more')
    """
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
