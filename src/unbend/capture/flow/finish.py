"""From drafts to sites: when all claims are made, roles are read, activations nobody read are left out, masks matched.

In: what a record holds after the run. Out: a `Flow`.
"""

from collections.abc import Iterable, Sequence
from itertools import count
from typing import TypeAlias

from unbend.capture.flow.axes import READ, Axis, Factor, Layout, Role, Variable, holds
from unbend.capture.flow.masks import Mask, MaskCandidate
from unbend.capture.flow.notes import Operation
from unbend.capture.flow.operations import BENDING, CHOOSING, COMPARING
from unbend.capture.flow.record import Draft, Record, name_of_call
from unbend.capture.flow.result import Flow, Site
from unbend.capture.kinds import FUNCTIONS

Part: TypeAlias = tuple[tuple[Role, int], ...]
"""An axis, as in `Site.parts`."""
_LEFT_OUT = "-"
"""Before the names of drafts that become no sites, so that a site may have such a name."""


def finish(
    record: Record, inputs: Sequence[Draft], candidates: Sequence[MaskCandidate], written: Sequence[str]
) -> Flow:
    """The flow that a run showed."""
    masks = {one.name: (mask, one.tokens) for one in candidates if (mask := one.mask()) is not None}
    names = _names(record.drafts.values())
    sites = [_site(draft, names, masks) for draft in record.drafts.values()]
    kept = {names[draft.name] for draft in record.drafts.values() if draft.is_kept}
    found = tuple(mask for mask, _ in masks.values())
    given = tuple(_site(draft, names, masks) for draft in inputs)
    return Flow(tuple(sites), given, found, tuple(written), tuple(record.unknown)).among(kept)


def _names(drafts: Iterable[Draft]) -> dict[str, str]:
    """Names of sites by names of drafts: an activation of several functions is called after what bends it first."""
    drafts = list(drafts)
    names = {draft.name: draft.name if draft.is_kept else f"{_LEFT_OUT}{draft.name}" for draft in drafts}
    by_hand = [draft for draft in drafts if draft.is_kept and _is_by_hand(draft)]
    taken = {draft.name for draft in drafts if draft.is_kept} - {draft.name for draft in by_hand}
    for draft in by_hand:
        path, word = draft.place[0], _word(draft)
        base = f"{path}:{word}" if path else word
        names[draft.name] = next(name for i in count() if (name := name_of_call(base, i)) not in taken)
        taken.add(names[draft.name])
    return names


def _is_by_hand(draft: Draft) -> bool:
    """Whether forward bends the values itself, by none of torch's activations."""
    return draft.place[1] != "" and draft.place[1] not in FUNCTIONS


def _word(draft: Draft) -> str:
    """What an activation is called: by its last function, but a product by what bends it first."""
    bends = [name for name in draft.activations if name not in COMPARING] or list(draft.activations)
    function = draft.place[1]
    if function in BENDING | CHOOSING or any(name in FUNCTIONS for name in bends):
        return function
    if not bends:
        return "step"  # comparisons only, as a spiking unit's
    return bends[0] if bends[0] != function else "gate" if len(bends) < len(draft.activations) else function


def _site(draft: Draft, names: dict[str, str], masks: dict[str, tuple[Mask, Axis]]) -> Site:
    parts, is_assumed = _parts(draft.layout, draft.shape)
    feeds = {draft.alias} if draft.alias is not None else draft.feeds - set(masks)
    outside = [op for op in draft.operations if not _is_inside(op, draft)]
    bent = [op.name for op in draft.operations if op.name in BENDING]
    own = draft.activations or tuple(name for name in bent)
    alias = None if draft.alias is None else names.get(draft.alias, draft.alias)
    return Site(
        names.get(draft.name, draft.name),
        draft.place,
        tuple(sorted(names.get(name, name) for name in feeds)),
        alias,
        parts,
        is_assumed,
        () if alias is not None else tuple(name for name in dict.fromkeys(own) if name not in COMPARING),
        () if alias is not None else tuple(dict.fromkeys(op.name for op in outside)),
        draft.curve is not None and draft.curve.is_rectifier(),
        None if draft.curve is None else names.get(draft.curve.root.origin or "", draft.curve.root.origin),
        _mask(draft, masks),
    )


def _is_inside(operation: Operation, draft: Draft) -> bool:
    """Whether an operation is what the site itself does."""
    path, function, _ = draft.place
    if function:
        return operation.path == path and operation.name in {function, *draft.activations}
    return not path or operation.path == path or operation.path.startswith(f"{path}.")


def _parts(layout: Layout, shape: Sequence[int]) -> tuple[tuple[Part, ...], bool]:
    """The roles of all factors, and whether the axis of the units had to be assumed."""
    unit = None if layout.unit is None else layout.unit.root
    is_kept = any(factor.variable.root is unit for one in layout.axes for factor in one)
    parts: list[Part] = [
        tuple((_role(factor.variable, unit if is_kept else None), factor.size) for factor in one) for one in layout.axes
    ]
    claimed = [i for i, part in enumerate(parts) if any(role == "unit" for role, _ in part)]
    if unit is None and len({factor.variable.root for i in claimed for factor in _read(layout.axes[i])}) > 1:
        return _one_of(parts, claimed), True
    if claimed:
        return tuple(parts), False
    usual = 1 if len(shape) > 3 else len(shape) - 1
    free = [i for i, one in enumerate(layout.axes) if not holds(one, "sample") and shape[i] != 1]
    single = [i for i, size in enumerate(shape) if size == 1 and i]
    if single and all(holds(layout.axes[i], "position") for i in free):  # one unit: an axis of length one tells nothing
        parts[usual if usual in single else single[-1]] = (("unit", 1),)
        return tuple(parts), False
    if not free:
        return tuple(parts), False
    silent = [i for i in free if not holds(layout.axes[i], "position")]
    at = silent[0] if len(silent) == 1 else usual if usual in free else free[-1]
    units: Part = tuple(("unit", size) for _, size in parts[at])
    parts[at] = units
    return tuple(parts), len(free) > 1


def _read(of: Axis) -> list[Factor]:
    """Factors that a layer made or read as units; pieces of one axis, such as heads of attention, belong together."""
    return [factor for factor in of if factor.variable.strength("unit") >= READ]


def _one_of(parts: Sequence[Part], claimed: Sequence[int]) -> tuple[Part, ...]:
    """Of several axes that some layers take for units, as in a mixer, the usual one."""
    usual = 1 if len(parts) > 3 else len(parts) - 1
    at = usual if usual in claimed else claimed[-1]
    return tuple(
        part if i == at else tuple(("position" if role == "unit" else role, size) for role, size in part)
        for i, part in enumerate(parts)
    )


def _role(variable: Variable, unit: Variable | None) -> Role:
    if unit is None:
        return variable.role
    return "unit" if variable.root is unit else "position" if variable.role == "unit" else variable.role


def _mask(draft: Draft, masks: dict[str, tuple[Mask, Axis]]) -> Mask | None:
    """The mask whose tokens are an axis of the tensor, at its full length."""
    for mask, tokens in masks.values():
        for token in tokens:
            for one in draft.layout.axes:
                if any(factor.variable.root is token.variable.root and factor.size == token.size for factor in one):
                    return mask
    return None
