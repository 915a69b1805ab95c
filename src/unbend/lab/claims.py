"""Which claims there are, in order, and each one by its name.

Comes in: a name. Goes out: its `Claim`, imported when it is asked for. It must not know what a claim does.
"""

import difflib
from importlib import import_module

from unbend.errors import LoadError
from unbend.lab.claim import Claim, Section

SECTIONS: dict[Section, tuple[str, ...]] = {
    "Foundations": (
        "affine_collapse",
        "xor_by_hand",
        "xor_impossible",
        "xor_trained",
        "activations",
        "neuron",
    ),
    "Seeing separability arise": (
        "strip",
        "bottleneck",
        "logistic_head",
        "regression_head",
        "must_be_separable",
        "cover",
        "separability_rises",
        "neural_collapse",
        "topology",
    ),
    "Linear regions, width and depth": (
        "regions_one_layer",
        "regions_depth",
        "sawtooth",
        "universal",
        "sin_fit",
        "width",
        "double_descent",
        "patterns",
    ),
    "Training": (
        "vanishing",
        "dead_units",
        "born_dead",
        "lottery",
        "pruning",
        "transfer",
        "kan",
        "separability_over_time",
    ),
}
"""The names of the claims by section."""

_ALL = tuple(name for names in SECTIONS.values() for name in names)


def claims() -> tuple[str, ...]:
    """The names of all claims, in the order of the lab.

    Example:
        >>> claims()[:3]
        ('affine_collapse', 'xor_by_hand', 'xor_impossible')
    """
    return _ALL


def claim(name: str) -> Claim:
    """The claim of that name.

    Args:
        name: one of `claims()`.

    Raises:
        LoadError: a name that is not there.

    Example:
        >>> claim("xor_impossible").told
        'No line separates XOR.'
    """
    if name not in claims():
        near = difflib.get_close_matches(name, claims(), n=3, cutoff=0.5)
        hint = f"Did you mean {' or '.join(map(repr, near))}?" if near else f"There are: {', '.join(claims())}."
        raise LoadError(f"lab: no claim named {name!r}. {hint}")
    return import_module(f"unbend.lab.{name}").CLAIM
