"""The handwritten digits that scikit-learn ships, read from its file: importing scikit-learn takes seconds."""

from importlib.util import find_spec
from pathlib import Path

import numpy as np

from unbend.errors import LoadError


def digits() -> tuple[np.ndarray, np.ndarray]:
    """Pixels from 0 to 16 [1797, 64], and which digit each is [1797], as `sklearn.datasets.load_digits` gives them.

    Raises:
        LoadError: scikit-learn is not installed, or lies somewhere without files.
    """
    spec = find_spec("sklearn")
    places = spec.submodule_search_locations if spec is not None else None
    path = Path(places[0], "datasets", "data", "digits.csv.gz") if places else Path()
    if not path.is_file():
        raise LoadError("digits: expected the file datasets/data/digits.csv.gz of scikit-learn. Install scikit-learn.")
    table = np.loadtxt(path, delimiter=",")
    return table[:, :-1], table[:, -1].astype(np.int64)
