"""Watching a training run from inside: hooks, sums, snapshots.

Knows neither files nor pictures: what a run is told to is a `Sink`.
"""

from unbend.study.watch.settings import WatchSettings
from unbend.study.watch.sink import Sink, check_sinks
from unbend.study.watch.watch import NonFiniteError, Watch

__all__ = ["NonFiniteError", "Sink", "Watch", "WatchSettings", "check_sinks"]
