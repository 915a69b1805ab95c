"""Which layers to look at and how to read them, decided on one forward pass and held as plain data.

In: a model and one batch of inputs. Out: a `Plan`: taps in the order in which they run, the model's output,
and notes on everything that was decided (keys used, layers left out, rows sketched).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from torch import nn

from unbend.capture.choose import apply_rules, default, list_names, match, sketch_wide
from unbend.capture.look import TAPPED, Look, look, with_saturation
from unbend.capture.quiet import quiet
from unbend.capture.taps import Tap
from unbend.numerics.views import Rule


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """Where to look.

    Attributes:
        taps: in the order in which they run.
        output: name of the tap that is the model's output, if one is.
        head: name of the last affine layer, when its output is the model's (a softmax or sigmoid behind it aside).
        notes: what was decided, for the reader.
    """

    taps: tuple[Tap, ...]
    output: str | None
    head: str | None
    notes: tuple[str, ...]


def plan(
    model: nn.Module,
    inputs: Any,
    n: int,
    *,
    layers: Sequence[str] | None = None,
    reduce: Rule | Mapping[str, Rule] | None = None,
) -> Plan:
    """Run the model once and decide where to look.

    Args:
        model: from `capture.bare`.
        inputs: one batch, as `call` takes it.
        n: samples in it.
        layers: paths or globs of layers; left out, a sensible choice: every affine, norm, activation,
            attention, recurrent and block output; when these are more than 32, activations and blocks only;
            then blocks, as deep as they fit; then some of them.
        reduce: how positions are reduced: one rule for all layers, or a rule by glob.

    Raises:
        LayerError: a name fits no layer, or the layer put out no tensor with one row per sample.
        ShapeError: the model does not take these inputs.
        ModelError: the model puts out no tensor.

    Cost:
        Two forward passes, the second on two rows.
    """
    shown = look(model, inputs, n)
    notes = _remarks(shown)
    chosen = default(shown, notes) if layers is None else match(shown, layers)
    modules = dict(model.named_modules())
    with quiet(model):
        taps = [with_saturation(seen, modules) for seen in chosen]
    taps = sketch_wide(apply_rules(taps, reduce), notes)
    names = {tap.name for tap in taps}
    fed = [tap if tap.fed_by is None else replace(tap, fed_by=_feeder(shown, tap.fed_by, names)) for tap in taps]
    output = next((s.tap.name for s in chosen if s.tap.kind == "output" or s.identity == shown.end), None)
    return Plan(tuple(fed), output, shown.head if shown.head in names else None, tuple(notes))


def _remarks(shown: Look) -> list[str]:
    """What the reader should know about what was seen."""
    notes = []
    if shown.output.key:
        notes.append(f"The model returns a {shown.returned}; its output is read from {shown.output.key}.")
    lost = [name for name in shown.lost if name == "output" or shown.kinds.get(name.split("#")[0]) in TAPPED]
    if lost:
        shown_lost = [f"{name} ({shown.lost[name]})" for name in lost]
        notes.append(f"Could not be read and left out: {list_names(shown_lost)}.")
    if shown.silent:
        notes.append(f"Never called as modules, so nothing is shown of them: {list_names(shown.silent)}.")
    if shown.mixing:
        notes.append(
            f"These layers have batch_first=False and take the axis of the samples for time, so that samples see each "
            f"other: {list_names(shown.mixing)}. Build them with batch_first=True, or turn the inputs."
        )
    return notes


def _feeder(shown: Look, name: str, names: set[str]) -> str | None:
    """The chosen layer whose output is that of the layer named; None if it is not among the chosen."""
    if name in names:
        return name
    feeder = next(s for s in shown.seen if s.tap.name == name)
    return next((s.tap.name for s in shown.seen if s.tap.name in names and s.identity == feeder.identity), None)
