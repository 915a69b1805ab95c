"""The rows of a map as words, where they are tokens.

In: the data, a vocabulary, row numbers. Out: texts.
"""

from collections.abc import Callable, Sequence

import numpy as np

from unbend._typing import Array, Bool, Int64
from unbend.explain.units.examples import examples, speaker
from unbend.study.prepare import Preparation

_LONGEST = 300
"""Characters of a text."""


def texts_of(
    work: Preparation,
    words: Sequence[str] | Callable[[int], str] | None,
    ids: Int64[Array, "n"],
    held_out: Bool[Array, "n"],
) -> tuple[str, ...]:
    """The rows as words; none where they are no tokens, or without a vocabulary.

    Args:
        work: the data.
        words: the vocabulary.
        ids: row numbers.
        held_out: which of them were held out.

    Cost:
        Reads the data once more.
    """
    if words is None:
        return ()
    speak = speaker(words)
    out = np.full(len(ids), "", dtype=object)
    for part, mine in (("train", ~held_out), ("held_out", held_out)):
        found = examples(work, ids[mine], part=part)
        if found.form != "tokens":
            return ()
        rows = found.x[found.at(ids[mine])]
        out[mine] = [" ".join(str(speak(int(token))) for token in row if token)[:_LONGEST] for row in rows]
    return tuple(out)
