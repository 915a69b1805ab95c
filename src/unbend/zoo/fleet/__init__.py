"""Many small networks, trained in one call.

`values` says what goes in and comes out; `run` checks and chooses; `compiled` (with `kernel`) and `batched`
are the two engines.
"""

from unbend.zoo.fleet.run import fleet_outputs, many, net_of
from unbend.zoo.fleet.values import Fleet, Net

__all__ = ["Fleet", "Net", "fleet_outputs", "many", "net_of"]
