"""unbend: a microscope for hidden layers.

Shows, measures and proves what each hidden layer of a PyTorch network does to the data. The public names
load when they are first used, so that `import unbend` stays cheap.
"""

from importlib import import_module

__version__ = "0.1.0"

_HOME: dict[str, str] = {
    "representations": "unbend.capture",
    "study": "unbend.study.study",
}

__all__ = ["__version__", *_HOME]


def __getattr__(name: str) -> object:
    """The public name, from the module that holds it."""
    if name in _HOME:
        return getattr(import_module(_HOME[name]), name)
    message = f"module 'unbend' has no attribute {name!r}"
    raise AttributeError(message)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOME])
