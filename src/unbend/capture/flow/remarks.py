"""What the reader should know of a flow, in sentences."""

from collections.abc import Iterator

from unbend._names import first_few
from unbend.capture.flow.operations import BENDING, CHOOSING, ELEMENTWISE, MULTIPLYING
from unbend.capture.flow.result import OPAQUE, Flow

_PLAIN = ELEMENTWISE - BENDING - CHOOSING - MULTIPLYING | {"cat", "concat", "stack", "mul", "div", "mean", "sum"}
"""Operations that need no word: sums, means and scalings."""


def remarks(shown: Flow) -> Iterator[str]:
    """What could not be seen, what was assumed, what lies between the sites, and what is written."""
    own = [site for site in shown.sites if site.alias_of is None]
    opaque = [site.name for site in own if OPAQUE in site.feeders]
    if opaque:
        yield (
            f"What feeds {first_few(opaque)} could not be seen: it was computed outside of torch's own functions "
            "(TorchScript, NumPy, another thread)."
        )
    assumed = [f"{site.name} (axis {site.unit_axis})" for site in own if site.is_assumed]
    if assumed:
        yield (
            f"Nothing says which axis holds the units; assumed for {first_few(assumed)}. axis= (--axis GLOB=N) sets it."
        )
    between: dict[str, list[str]] = {}
    for site in own:
        unseen = [name for name in site.operations if name not in _PLAIN]
        if unseen:
            between.setdefault(", ".join(unseen), []).append(site.name)
    if between:
        steps = [f"{what} (before {first_few(where)})" for what, where in between.items()]
        yield f"Computed between layers and not shown as one: {first_few(steps)}."
    if shown.writes:
        yield f"forward writes into its inputs: {first_few(shown.writes)}. The model is given copies."
    if shown.unknown:
        yield f"Operations of unknown effect on axes: {first_few(shown.unknown)}."
