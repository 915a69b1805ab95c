"""The joint question of k classes: is there a linear read-out whose argmax is right in every row?"""

import numpy as np

from unbend.numerics.separable.cone import KeslerCone, Planes
from unbend.numerics.separable.clearance import Clearance
from unbend.numerics.separable.search import Limits, Open, Overlapping, Separated, search
from unbend.numerics.separable.twins import contradictions, groups
from unbend.numerics.separable.verdicts import JointOverlap, JointSeparation, Undecided


def joint(x: np.ndarray, y: np.ndarray, limits: Limits) -> JointSeparation | JointOverlap | Undecided:
    classes, code = np.unique(y, return_inverse=True)
    pairs, _ = contradictions(groups(x), code)
    if len(pairs):
        return JointOverlap(*x.shape, pairs[0], y[pairs[0][::-1]], np.ones(2), 0.0)
    cone = KeslerCone(x, code, len(classes))
    outcome = search(cone, limits)
    if isinstance(outcome, Overlapping):
        row, rival = cone.transfer(outcome.index)
        return JointOverlap(*x.shape, row, classes[rival], outcome.weights, outcome.robustness)
    weight, bias, low = cone.readout(outcome.planes)
    if isinstance(outcome, Separated):
        f = outcome.clearance
        return JointSeparation(*x.shape, classes, weight, bias, f.margin, f.robustness, f.tightest, low)
    return Undecided(None, None, *x.shape, outcome.reason, weight, bias, outcome.errors, np.inf, classes)
