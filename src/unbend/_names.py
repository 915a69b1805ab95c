"""Names as they are written: that of the input among the layers, of layers, of columns, and many in one sentence."""

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


def number_of(n: int, word: str) -> str:
    """So many of something.

    Example:
        >>> number_of(1, "held-out row"), number_of(1200, "held-out row")
        ('1 held-out row', '1,200 held-out rows')
    """
    return f"{n:,} {word}{'' if n == 1 else 's'}"


def layer_label(name: str, module: str) -> str:
    """What a layer is called: its name, with the class of its module when the name is only a number.

    Example:
        >>> layer_label("blocks.3", "Linear"), layer_label("head", "Linear"), layer_label("3#2", "ReLU")
        ('blocks.3 Linear', 'head', '3#2 ReLU')
    """
    last = name.rpartition(".")[2].partition("#")[0]
    return f"{name} {module}" if last.isdigit() else name


def column_word(names: Sequence[str], j: int, *, is_alone: bool = False) -> str:
    """What a column is called: by its name, or by its number.

    Args:
        names: of all columns; none where they have none.
        j: which column.
        is_alone: whether the name stands for itself, as at an axis.

    Example:
        >>> column_word(("age", "sex"), 1), column_word((), 1), column_word(("age", "sex"), 1, is_alone=True)
        ('column “sex”', 'column 1', 'sex')
    """
    if not names:
        return f"column {j}"
    return names[j] if is_alone else f"column \u201c{names[j]}\u201d"
