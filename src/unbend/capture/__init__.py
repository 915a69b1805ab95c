"""What a model's layers put out, tapped with hooks; and a model as plain piecewise-affine arrays.

Knows modules and hooks. Must not know statistics or drawing.
"""

from unbend.capture.outputs import as_rows, call, tensor_of
from unbend.capture.plan import Plan, plan
from unbend.capture.quiet import bare, kept_random, quiet
from unbend.capture.representations import representations
from unbend.capture.taps import Caught, Tap, tapped
from unbend.capture.tokens import token_mask, token_masks
from unbend.capture.twin import calibrate, twin

__all__ = [
    "Caught", "Plan", "Tap", "as_rows", "bare", "calibrate", "call", "kept_random", "plan", "quiet", "representations",
    "tapped", "tensor_of", "token_mask", "token_masks", "twin",
]  # fmt: skip
