"""Which claims there are, in order, and each one by its name.

In: a name. Out: its `Claim`, imported when it is asked for, or its `Card`, read from the file without importing it.
Must not know what a claim does.
"""

import ast
import difflib
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

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

N_SEEDS = 3
"""How many seeds a claim gets when everything is run in full."""
_ALL = tuple(name for names in SECTIONS.values() for name in names)


@dataclass(frozen=True, slots=True)
class Card:
    """What is written on a claim, without its experiment.

    Attributes:
        name: how it is called on the command line.
        section: the part of the lab it stands in.
        told: the claim in one sentence, as it is usually told.
        told_by: what kind of source tells it so.
        needs: data that must be installed.
        source: the paper or theorem.
    """

    name: str
    section: Section
    told: str
    told_by: str
    needs: tuple[str, ...] = ()
    source: str = ""


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
    return import_module(f"unbend.lab.{check_name(name)}").CLAIM


def check_name(name: str) -> str:
    """The name itself, where there is such a claim.

    Raises:
        LoadError: a name that is not there; it says which are near.
    """
    if name not in claims():
        near = difflib.get_close_matches(name, claims(), n=3, cutoff=0.5)
        hint = f"Did you mean {' or '.join(map(repr, near))}?" if near else f"There are: {', '.join(claims())}."
        raise LoadError(f"lab: no claim named {name!r}. {hint}")
    return name


def card(name: str) -> Card:
    """What is written on the claim of that name: the words in the last statement of its module.

    Nothing is imported, because the experiments bring torch, which takes seconds.

    Example:
        >>> card("xor_impossible").told_by
        'textbooks'
    """
    text = (Path(__file__).parent / f"{check_name(name)}.py").read_text(encoding="utf-8")
    call = ast.parse(text[text.rindex("\nCLAIM = ") :]).body[0]
    known = Card.__dataclass_fields__
    words = {
        one.arg: ast.literal_eval(one.value)
        for one in ast.walk(call)
        if isinstance(one, ast.keyword) and one.arg in known
    }
    return Card(**words)
