"""One planning pass that shows which tensor feeds which, which axis is which, activations, masks and writes.

In: a model and a few rows. Out: a `Flow`. `axes` and `notes` are what is known of a tensor; `layout`, `weights` and
`moves` are the rules for axes, `activations` and `curves` for values, `masks` for padding; `record` applies them while
`watch` runs the model; `finish` reads the result, and `remarks` tells it in sentences.
"""

from unbend.capture.flow.masks import Mask
from unbend.capture.flow.remarks import remarks
from unbend.capture.flow.result import OPAQUE, Flow, Site
from unbend.capture.flow.trace import flow

__all__ = ["OPAQUE", "Flow", "Mask", "Site", "flow", "remarks"]
