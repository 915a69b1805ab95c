"""Models and data from disk.

In: what a person writes on the command line. Out: a `torch.nn.Module`, or `Data`. What cannot be
opened gives one clear sentence. This package must not know statistics, hooks or drawing.
"""

from unbend.load.data import Data, data
from unbend.load.models import factory, model
from unbend.load.shipped import bundled_names

__all__ = ["Data", "bundled_names", "data", "factory", "model"]
