"""One drawing function per Result; those that people call by hand are names of this package, loaded when first used."""

from typing import TYPE_CHECKING

from unbend._lazy import on_demand

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

__all__ = [
    "flow", "flow_film", "flow_grid", "gif", "hidden_lines", "hidden_lines_film", "hidden_lines_grid", "layer_map",
    "map_film", "map_grid", "mp4", "n_flow_frames",
]  # fmt: skip

__getattr__ = on_demand(
    __name__,
    {
        "film": ("gif", "mp4"),
        "lines": ("hidden_lines", "hidden_lines_film", "hidden_lines_grid"),
        "maps": ("layer_map", "map_film", "map_grid"),
        "stages": ("flow", "flow_film", "flow_grid", "n_flow_frames"),
    },
)
