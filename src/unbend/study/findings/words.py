"""Words that rules share."""


def share(value: float) -> str:
    """A share in per cent."""
    return f"{100 * value:.0f} %"


def at(layer: str | None) -> str:
    """Where, if it is known."""
    return "" if layer is None else f" (from layer {layer})"
