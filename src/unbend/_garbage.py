"""When Python looks for garbage: a process that runs one command has none until its work begins.

In: nothing. Out: settings of Python's collector. Imports bring a quarter of a million objects, all of which stay to the
end; to look through them as they come, and once more as the process ends, was a fifth of the time of a short command.
"""

import atexit
import gc

_RARELY = (100_000, 50, 1_000)
"""Thresholds while modules are imported."""
_USUAL = gc.get_threshold()


def put_off() -> None:
    """Hardly look for garbage from here on, and not at all as the process ends."""
    gc.set_threshold(*_RARELY)
    atexit.register(gc.freeze)


def sweep() -> None:
    """Look for garbage as usual from here on where that was put off, but not among what is there already."""
    if gc.get_threshold() == _RARELY:
        gc.freeze()
        gc.set_threshold(*_USUAL)
