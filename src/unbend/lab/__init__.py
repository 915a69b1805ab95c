"""The lab: what articles say about hidden layers, re-run and checked.

In: the public face of unbend. Out: a `Claim` per module, its results, and one page. Each experiment
uses only public names, so that it doubles as an example.
"""

from unbend.lab.claim import Budget, Check, Claim, Verdict
from unbend.lab.claims import claim, claims

__all__ = ["Budget", "Check", "Claim", "Verdict", "claim", "claims"]
