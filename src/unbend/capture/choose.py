"""Which of the layers seen are looked at, and by which rule they are read. Decided on plain data, with notes."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from difflib import get_close_matches
from fnmatch import fnmatchcase

from unbend._names import first_few
from unbend.capture.look import TAPPED, Look, Seen
from unbend.capture.taps import Tap
from unbend.errors import LayerError
from unbend.numerics.view import RULES, WIDEST, Rule

MOST = 32
"""With more layers than this, the default keeps activations and blocks, then blocks only, then some of them."""
MEMORY = 2 << 30
"""Bytes the second moments of all layers may take; above it, wide layers are sketched further."""
_FEW = 4
"""A coarser choice shows more layers than this, or a finer one is made."""
_TURNS = ("activation", "function", "attention", "block")
"""Kinds of layers that turn and bend what affine ones put out."""


def default(shown: Look, notes: list[str]) -> list[Seen]:
    """The layers looked at when none are named, in order, always with the one that puts out the model's output."""
    tapped = [s for s in shown.seen if s.tap.kind in TAPPED]
    usual, (chosen, words) = _once(tapped), _fitting(tapped)
    names = {s.tap.name for s in chosen} | {shown.head}
    if not any(s.identity == shown.end for s in chosen):
        ends = [s for s in usual if s.identity == shown.end] or [s for s in shown.seen if s.tap.kind == "output"]
        names |= {s.tap.name for s in ends[:1]}
    chosen = [s for s in shown.seen if s.tap.name in names]
    if words:
        notes.append(
            f"The model has {len(usual)} layers; {len(chosen)} are shown ({words}). Name layers to see others, "
            f"such as layers=[{_example(usual)!r}]."
        )
    return chosen or list(shown.seen)


def _fitting(everything: list[Seen]) -> tuple[list[Seen], str]:
    """The finest choice with at most `MOST` layers, and what it is, in words; no words for all of them."""
    usual = _once(everything)
    if len(usual) <= MOST:
        return usual, ""
    turns = _once([s for s in everything if s.tap.kind in _TURNS])
    if _FEW < len(turns) <= MOST:
        return turns, "activations, attention and blocks"
    blocks = [s for s in everything if s.tap.kind == "block"]
    for depth in sorted({s.depth for s in blocks}, reverse=True):
        some = _once([s for s in blocks if s.depth <= depth])
        if _FEW < len(some) <= MOST:
            return some, "blocks"
    rest, words = next(
        (some, words)
        for some, words in ((_outer(blocks), "block"), (turns, "activation, attention or block"), (usual, "layer"))
        if len(some) > _FEW
    )
    step = math.ceil(len(rest) / MOST)
    return rest[::step], f"every {_ordinal(step)} {words}"


def _ordinal(n: int) -> str:
    end = {1: "st", 2: "nd", 3: "rd"}.get(n % 10, "th")
    return f"{n}{'th' if n % 100 in (11, 12, 13) else end}"


def _outer(blocks: list[Seen]) -> list[Seen]:
    """Blocks that are inside of as few others as can be, while there is more than a handful of them."""
    depths = sorted({s.depth for s in blocks})
    levels = (_once([s for s in blocks if s.depth <= depth]) for depth in depths)
    return next((some for some in levels if len(some) > _FEW), [])


def _once(seen: list[Seen]) -> list[Seen]:
    """Without layers that only pass on what an earlier one put out, such as a block that ends in a tapped layer."""
    first: dict[tuple[object, ...], Seen] = {}
    kept: set[str] = set()
    for s in seen:
        if s.identity not in first and s.origin not in kept:
            first[s.identity] = s
            kept |= set() if s.site is None else {s.origin or s.site.name}
    return list(first.values())


def _example(usual: list[Seen]) -> str:
    path = next((s.tap.path for s in usual if "." in s.tap.path), "")
    return f"{path.rsplit('.', 1)[0]}.*" if path else usual[0].tap.name


def match(shown: Look, layers: Sequence[str]) -> list[Seen]:
    """The layers that fit the names and globs, in the order in which they ran.

    Raises:
        LayerError: a name fits none.
    """
    if isinstance(layers, str):
        raise LayerError(f"layers: expected a list of names, got the string {layers!r}. Pass layers=[{layers!r}].")
    names = [s.tap.name for s in shown.seen]
    picked: set[str] = set()
    for pattern in layers:
        hits = {s.tap.name for s in shown.seen if pattern in (s.tap.name, *([] if s.tap.function else [s.tap.path]))}
        hits = hits or {name for name in names if fnmatchcase(name, pattern)}
        if not hits:
            raise LayerError(_unknown(shown, pattern, names))
        picked |= hits
    return [s for s in shown.seen if s.tap.name in picked]


def _unknown(shown: Look, pattern: str, names: list[str]) -> str:
    """Why a name fits nothing, and what would."""
    if pattern in shown.lost:
        return f"layers: {pattern!r} cannot be read: {shown.lost[pattern]}."
    if pattern in shown.kinds:
        return f"layers: {pattern!r} was never called as a module in the forward pass, so it has no output to look at."
    near = get_close_matches(pattern, names, 3, 0.5)
    hint = f" Did you mean {' or '.join(repr(name) for name in near)}?" if near else ""
    return f"layers: no layer named {pattern!r}. It has: {first_few(names, 12)}.{hint}"


def apply_rules(taps: Sequence[Tap], reduce: Rule | Mapping[str, Rule] | None) -> list[Tap]:
    """The taps, their positions reduced by the last rule that fits; a rule for all skips layers it does not suit.

    Raises:
        LayerError: no such rule, a glob that fits no layer, or a rule that does not suit the layer it names.
    """
    if reduce is None:
        return list(taps)
    rules = {"*": reduce} if isinstance(reduce, str) else dict(reduce)
    for pattern, rule in rules.items():
        if rule not in RULES or rule == "none":
            raise LayerError(f"reduce: no rule {rule!r} for {pattern!r}. The rules are {', '.join(RULES[1:])}.")
        fitting = [tap for tap in taps if _fits(tap, pattern)]
        if not fitting:
            near = get_close_matches(pattern, [tap.name for tap in taps], 3, 0.5)
            hint = f" Did you mean {' or '.join(repr(name) for name in near)}?" if near else ""
            raise LayerError(f"reduce: no tapped layer fits {pattern!r}.{hint}")
        if len(fitting) == 1 and fitting[0].name == pattern and not _suits(fitting[0], rule):
            raise LayerError(
                f"reduce: {rule!r} does not suit {pattern!r}, whose output is read as {fitting[0].view.layout}. "
                f"{'Use mean, max or flatten.' if fitting[0].view.layout == 'maps' else 'It has nothing to reduce.'}"
            )
    choose: Callable[[Tap], list[Rule]] = lambda tap: [  # noqa: E731  two rules of one line each
        rule for pattern, rule in rules.items() if _fits(tap, pattern) and _suits(tap, rule)
    ]
    return [replace(tap, view=replace(tap.view, rule=(choose(tap) or [tap.view.rule])[-1])) for tap in taps]


def _fits(tap: Tap, pattern: str) -> bool:
    return tap.name == pattern or fnmatchcase(tap.name, pattern)


def _suits(tap: Tap, rule: Rule) -> bool:
    return tap.view.layout == "tokens" or (tap.view.layout == "maps" and rule not in {"cls", "last"})


def row_width(tap: Tap) -> int:
    """Columns of a tap's rows before sketching."""
    return tap.view.columns(tap.shape)


def sketch_wide(taps: Sequence[Tap], notes: list[str]) -> list[Tap]:
    """Sketch rows wider than `WIDEST`, and further while second moments would take more than `MEMORY`."""
    limit = WIDEST
    while limit > 64 and sum(8 * min(row_width(t), limit) ** 2 for t in taps) > MEMORY:
        limit //= 2
    wide = [t.name for t in taps if row_width(t) > limit]
    if wide:
        notes.append(
            f"{_count(len(wide), 'layer is', 'layers are')} wider than {limit} and sketched to {limit} randomly signed "
            f"sums: {first_few(wide)}. A read-out of the sketch is one of the layer, so its accuracy is a lower bound."
        )
    return [replace(t, view=replace(t.view, sketch=limit)) if row_width(t) > limit else t for t in taps]


def _count(n: int, one: str, many: str) -> str:
    return f"{n} {one if n == 1 else many}"
