"""The untrained twin: the same network with fresh weights, the baseline every trained layer is held against.

In: a module, or how to build it. Out: `twin`, the untrained network, and `calibrate`, which gives its batch norms the
statistics of the data. Must not know studies.
"""

from unbend.capture.twin.calibrate import calibrate
from unbend.capture.twin.fresh import Untrained, twin

__all__ = ["Untrained", "calibrate", "twin"]
