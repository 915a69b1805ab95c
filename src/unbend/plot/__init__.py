"""One drawing function per Result; those that people call by hand are names of this package, loaded when first used."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # what editors and type checkers read
    from unbend.plot.film import gif as gif
    from unbend.plot.film import mp4 as mp4
    from unbend.plot.lines import hidden_lines as hidden_lines
    from unbend.plot.lines import hidden_lines_film as hidden_lines_film
    from unbend.plot.lines import hidden_lines_grid as hidden_lines_grid
    from unbend.plot.maps import layer_map as layer_map
    from unbend.plot.maps import map_film as map_film
    from unbend.plot.maps import map_grid as map_grid
    from unbend.plot.stages import flow as flow
    from unbend.plot.stages import flow_film as flow_film
    from unbend.plot.stages import flow_grid as flow_grid
    from unbend.plot.stages import n_flow_frames as n_flow_frames

# Public name → the module that holds it.
_HOME: dict[str, str] = {
    "flow": "unbend.plot.stages",
    "flow_film": "unbend.plot.stages",
    "flow_grid": "unbend.plot.stages",
    "gif": "unbend.plot.film",
    "hidden_lines": "unbend.plot.lines",
    "hidden_lines_film": "unbend.plot.lines",
    "hidden_lines_grid": "unbend.plot.lines",
    "layer_map": "unbend.plot.maps",
    "map_film": "unbend.plot.maps",
    "map_grid": "unbend.plot.maps",
    "mp4": "unbend.plot.film",
    "n_flow_frames": "unbend.plot.stages",
}

__all__ = [*_HOME]


def __getattr__(name: str) -> Any:
    """The public name, from the module that holds it."""
    if name in _HOME:
        return getattr(import_module(_HOME[name]), name)
    message = f"module 'unbend.plot' has no attribute {name!r}"
    raise AttributeError(message)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
