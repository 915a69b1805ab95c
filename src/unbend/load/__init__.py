"""Models and data from disk: from one line of text to a module or a data set, with one clear sentence when not.

Comes in: what a person writes on the command line. Goes out: a `torch.nn.Module`, or `Data`. This package must
not know statistics, hooks or drawing.
"""

from unbend.load.data import Data, bundled, data
from unbend.load.models import model

__all__ = ["Data", "bundled", "data", "model"]
