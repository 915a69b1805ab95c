"""Data sets that need no file of the user's: scikit-learn's, and Fashion-MNIST from its Debian package.

In: a name. Out: `Data`, with what was done to the numbers in `source`.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from unbend._digits import digits
from unbend.errors import LoadError
from unbend.load import idx
from unbend.load.dataset import Data, from_arrays

FASHION = Path("/usr/share/datasets/fashion-mnist")
CLOTHES = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)


def bundled_names() -> tuple[str, ...]:
    """The names of the data sets that need no file.

    Example:
        >>> bundled_names()
        ('digits', 'iris', 'wine', 'breast_cancer', 'diabetes', 'fashion-mnist')
    """
    return tuple(_SETS)


def read(name: str) -> Data:
    """The bundled set of that name: images in [0, 1], columns of tables standardised, targets as they are.

    Raises:
        LoadError: Fashion-MNIST is not installed on this machine.
    """
    return _SETS[name]()


def _digits() -> Data:
    pixels, labels = digits()
    names = tuple(map(str, range(10)))
    source = "Optical recognition of handwritten digits (UCI, test part), scikit-learn; divided by 16; CC BY 4.0"
    return from_arrays("digits", ((pixels / 16).astype(np.float32), labels), class_names=names, source=source)


def _table(name: str, title: str, licence: str, **options: Any) -> Callable[[], Data]:
    """A reader of one of scikit-learn's small tables."""

    def table() -> Data:
        from sklearn import datasets  # noqa: PLC0415  takes a second to load

        bunch: Any = getattr(datasets, f"load_{name}")(**options)
        x = ((bunch.data - bunch.data.mean(axis=0)) / bunch.data.std(axis=0)).astype(np.float32)
        is_classes = "target_names" in bunch
        y = bunch.target.astype(np.int64 if is_classes else np.float64)
        names = tuple(str(label) for label in bunch.target_names) if is_classes else ()
        source = f"{title}, scikit-learn; each column standardised; {licence}"
        found = from_arrays(name, (x, y), class_names=names, source=source)
        return replace(found, column_names=tuple(map(str, bunch.feature_names)))

    return table


def _fashion() -> Data:
    if not FASHION.is_dir():
        raise LoadError(f"fashion-mnist: not in {FASHION}. Install it: apt-get install dataset-fashion-mnist.")
    source = "Fashion-MNIST (Xiao, Rasul, Vollgraf 2017), Debian's dataset-fashion-mnist; divided by 255; MIT"
    return idx.folder(FASHION, class_names=CLOTHES, source=source)


_SETS: dict[str, Callable[[], Data]] = {
    "digits": _digits,
    "iris": _table("iris", "Iris (Fisher 1936, UCI)", "CC BY 4.0"),
    "wine": _table("wine", "Wine recognition (Forina, UCI)", "CC BY 4.0"),
    "breast_cancer": _table("breast_cancer", "Breast cancer Wisconsin, diagnostic (UCI)", "CC BY 4.0"),
    "diabetes": _table("diabetes", "Diabetes (Efron et al. 2004)", "shipped under BSD-3-Clause", scaled=False),
    "fashion-mnist": _fashion,
}
