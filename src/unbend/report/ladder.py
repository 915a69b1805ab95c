"""What a page shows of a `Ladder`: layer by layer from overlap to separable, with proofs and witnesses."""

from collections.abc import Mapping

import numpy as np

from unbend._typing import Array
from unbend.chart.images import COLUMNS, grey, image_side
from unbend.numerics.separable import LadderStep
from unbend.report.sections import NOWHERE, Picture, Place, Section, Table, section
from unbend.report.text import in_digits
from unbend.study.ladder import Ladder, remark, word

_MOST_SHOWN = 2 * COLUMNS
_NAMED = 6


def in_words(result: Ladder, labels: Mapping[str, str]) -> str:
    """The ladder in two sentences: where the classes become separable, and what that is worth."""
    names = [labels.get(name, name) for name in result.layers]
    words = [word(step) for step in result.steps]
    clear = [name for name, w in zip(names, words, strict=True) if w == "separable"]
    if not clear:
        said = "No layer was proved to separate the training rows with planes."
    elif words[0] == "separable":
        said = f"The {len(result.ids):,} training rows are already separable at {names[0]}."
    else:
        said = f"The {len(result.ids):,} training rows become separable at {clear[0]}."
    free = [name for name, step in zip(names, result.steps, strict=True) if step.frame.is_worthless]
    if free:
        nothing = "at least every second permutation of the labels is separable as well: there the verdict says nothing"
        return f"{said} At {', '.join(free)} {nothing}."
    null = next((step.frame.control for step, w in zip(result.steps, words, strict=True) if w == "separable"), None)
    if null is None or not null.n:
        return said
    open_ = f", {null.n_undecided} were left open" if null.n_undecided else ""
    return (
        f"{said} There {null.n_separable} of {null.n} permutations of the labels were separable{open_}: "
        f"p = {null.p_value:.2g} that width alone explains it."
    )


@section.register
def ladder(result: Ladder, place: Place = NOWHERE) -> Section:
    """The ladder of verdicts, and the rows that prove them."""
    labels = [place.label(name) for name in result.layers]
    told = "; ".join(f"{label}: {word(step)}" for label, step in zip(labels, result.steps, strict=True))
    picture = Picture(
        "The ladder",
        f"Each verdict is proved for all {len(result.ids):,} training rows in exact or rigorously bounded "
        "arithmetic; the command unbend verify checks it again. A hollow mark is a verdict that shuffled labels, or "
        "the last bits of the stored numbers, would also give.",
        view="ladder",
        data={
            "layers": place.positions(result.layers),
            "words": [word(step) for step in result.steps],
            "remarks": [remark(step) for step in result.steps],
            "is_hollow": [bool(step.frame.is_worthless or step.frame.last_bits_only) for step in result.steps],
            "is_worthless": [bool(step.frame.is_worthless) for step in result.steps],
        },
        label=f"Separability of {len(labels)} layers. {told}",
        ratio=18 / (len(labels) + 0.8),
        table=_table(result, labels, place),
        size="full",
    )
    seen = _witness_picture(result, place)
    return Section(pictures=(picture,) if seen is None else (picture, seen))


def _table(result: Ladder, labels: list[str], place: Place) -> Table:
    rows = tuple(
        (label, word(step), remark(step), f"{step.frame.n:,}", str(step.frame.d), str(step.frame.rank),
         "" if step.frame.cover is None else in_digits(step.frame.cover), f"{step.frame.robustness:.1e}",
         _witness_words(result, step, place))
        for label, step in zip(labels, result.steps, strict=True)
    )  # fmt: skip
    head = ("layer", "verdict", "beside it", "rows", "width", "rank", "Cover", "survives a change of", "witness rows")
    return Table(head, rows, "Cover: probability that as many balanced random labels are separable; two classes only.")


def _witness_words(result: Ladder, step: LadderStep, place: Place) -> str:
    """Row numbers of the witnesses with their classes."""
    words = [
        f"{int(result.ids[position])} ({_class(place, int(result.labels[np.searchsorted(result.shown, position)]))})"
        for position in step.witnesses[:_NAMED]
    ]
    return ", ".join(words) + (" …" if len(step.witnesses) > _NAMED else "")


def _class(place: Place, label: int) -> str:
    return place.class_names[label] if label < len(place.class_names) else str(label)


def _witness_picture(result: Ladder, place: Place) -> Picture | None:
    """The rows that decide, as images, where the input is one."""
    shape = None if result.inputs is None else image_side(result.inputs.shape[1])
    if result.inputs is None or shape is None or not len(result.shown):
        return None
    order = _in_turn(result)[:_MOST_SHOWN]
    names = [_class(place, int(k)) for k in result.labels[order]]
    images: Array = result.inputs[order].reshape(-1, *shape)
    return Picture(
        "The witnesses",
        "Rows that decide: those whose mixture proves an overlap, or those nearest to the separating boundary.",
        view="images",
        data={
            "pixels": np.concatenate([np.round(255 * grey(image)).astype(np.uint8).ravel() for image in images]),
            "shape": list(shape),
            "ids": result.ids[result.shown[order]],
            "classes": result.labels[order],
            "names": names,
        },
        label=f"{len(order)} input images that witness the verdicts, of classes {', '.join(names)}",
        ratio=12 / (1.3 * (1 + (len(order) - 1) // COLUMNS)),
        size="full",
    )


def _in_turn(result: Ladder) -> Array:
    """Positions in `shown`: the first witness of every layer, then the second, and so on."""
    longest = max(len(step.witnesses) for step in result.steps)
    turns = [int(step.witnesses[i]) for i in range(longest) for step in result.steps if i < len(step.witnesses)]
    return np.searchsorted(result.shown, list(dict.fromkeys(turns)))
