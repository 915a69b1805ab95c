"""The exceptions of unbend, in one tree.

    UnbendError
    ├── ShapeError (ValueError)        arrays or tensors whose shapes do not fit
    ├── DataError (ValueError)         labels, data sets and values that cannot be measured
    ├── LayerError (KeyError)          a layer that is not there, or that cannot be tapped
    ├── ModelError (TypeError)         something that is not a model we can look into
    ├── LoadError (OSError)            a file or a name that gives no model or no data
    ├── RecordError (ValueError)       a saved study that is damaged, newer, or does not fit
    ├── MergeError (ValueError)        two states or studies that cannot be added
    ├── TiesError (ArithmeticError)     too much that only exact arithmetic could tell apart
    ├── UnsupportedError (NotImplementedError)  a module outside what a method covers
    └── MissingExtraError (ImportError)  an optional package that is not installed

Each class is also the builtin it specialises, so ordinary `except ValueError` works. The message says
where, what was expected, what was found, and what to do; the terminal prints it and exits with status 2.
"""


class UnbendError(Exception):
    """The root of everything unbend raises on purpose."""

    def __str__(self) -> str:
        return " ".join(str(part) for part in self.args)


class ShapeError(UnbendError, ValueError):
    """Arrays or tensors whose shapes do not fit each other or the model."""


class DataError(UnbendError, ValueError):
    """Labels, data sets or values that cannot be measured as they are."""


class LayerError(UnbendError, KeyError):
    """A layer that is not in the model, or that cannot be tapped."""


class ModelError(UnbendError, TypeError):
    """Something that is not a model unbend can look into."""


class LoadError(UnbendError, OSError):
    """A file or a name that gives no model or no data."""


class RankError(UnbendError, RuntimeError):
    """A rank of a distributed run that no longer answers."""


class RecordError(UnbendError, ValueError):
    """A saved study that is damaged, newer than this version, or not a study."""


class MergeError(UnbendError, ValueError):
    """Two states or studies that cannot be added to each other."""


class TiesError(UnbendError, ArithmeticError):
    """So much coincides within rounding that exact arithmetic would take hours."""


class UnsupportedError(UnbendError, NotImplementedError):
    """A module or a size outside of what a method covers."""


class MissingExtraError(UnbendError, ImportError):
    """An optional package that is needed here and not installed."""
