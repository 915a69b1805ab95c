"""What the reader should know of a flow, in sentences."""

from collections.abc import Iterator, Sequence

from unbend.capture.flow.operations import BENDING, CHOOSING, ELEMENTWISE, MULTIPLYING
from unbend.capture.flow.result import OPAQUE, Flow

_SHOWN = 5
"""Names that a note lists before it counts the rest."""
_PLAIN = ELEMENTWISE - BENDING - CHOOSING - MULTIPLYING | {"cat", "concat", "stack", "mul", "div", "mean", "sum"}
"""Operations that need no word: sums, means and scalings."""


def remarks(shown: Flow) -> Iterator[str]:
    """What could not be seen, what was assumed, what lies between the sites, and what is written."""
    own = [site for site in shown.sites if site.alias_of is None]
    opaque = [site.name for site in own if OPAQUE in site.feeders]
    if opaque:
        yield (
            f"What feeds {some_of(opaque)} could not be seen: it was computed outside of torch's own functions "
            "(TorchScript, NumPy, another thread)."
        )
    assumed = [f"{site.name} (axis {site.unit_axis})" for site in own if site.is_assumed]
    if assumed:
        yield (
            f"Nothing says which axis holds the units; assumed for {some_of(assumed)}. axis= (--axis GLOB=N) sets it."
        )
    between: dict[str, list[str]] = {}
    for site in own:
        unseen = [name for name in site.operations if name not in _PLAIN]
        if unseen:
            between.setdefault(", ".join(unseen), []).append(site.name)
    if between:
        steps = [f"{what} (before {some_of(where)})" for what, where in between.items()]
        yield f"Computed between layers and not shown as one: {some_of(steps)}."
    if shown.writes:
        yield f"forward writes into its inputs: {some_of(shown.writes)}. The model is given copies."
    if shown.unknown:
        yield f"Operations of unknown effect on axes: {some_of(shown.unknown)}."


def some_of(names: Sequence[str]) -> str:
    """The first few names, and how many more there are."""
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
