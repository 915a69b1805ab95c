"""Which layers to look at and how to read them, decided on one forward pass and held as plain data.

In: a model and one batch of inputs. Out: a `Plan`: taps in the order in which they run, the model's output,
and notes on everything that was decided (keys used, layers left out, rows sketched).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Any

from torch import nn

from unbend._names import INPUT, first_few
from unbend.capture.choose import apply_rules, default, match, sketch_wide
from unbend.capture.flow import Flow, remarks
from unbend.capture.flow.masks import Mask
from unbend.capture.inputs import copy_of, named_tensors
from unbend.capture.look import TAPPED, Look, Seen, look, with_saturation
from unbend.capture.quiet import quiet
from unbend.capture.taps import Tap
from unbend.capture.tokens import unmasked_padding
from unbend.errors import ModelError
from unbend.numerics.view import Rule


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """Where to look.

    Attributes:
        taps: in the order in which they run.
        output: name of the tap that is the model's output, if one is.
        head: name of the last affine layer, when its output is the model's (a softmax or sigmoid behind it aside).
        notes: what was decided, for the reader.
        writes: names of the inputs that the model writes into.
        end: the tap that puts out what the model does, among the taps or not; None where that is no tap.
        is_end_assumed: nothing says which of its axes holds units.
    """

    taps: tuple[Tap, ...]
    output: str | None
    head: str | None
    notes: tuple[str, ...]
    writes: tuple[str, ...] = ()
    end: Tap | None = None
    is_end_assumed: bool = False

    def protect(self, inputs: Any) -> Any:
        """A batch as it may be given to the model: a copy where forward writes into it, else the batch itself."""
        return copy_of(inputs) if self.writes else inputs


def plan(
    model: nn.Module,
    inputs: Any,
    n: int,
    *,
    layers: Sequence[str] | None = None,
    reduce: Rule | Mapping[str, Rule] | None = None,
    axis: Mapping[str, int] | None = None,
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
        axis: which axis of a layer's output holds its units, by name or glob; left out, what the model shows.

    Raises:
        LayerError: a name fits no layer, or the layer put out no tensor with one row per sample.
        ShapeError: the model does not take these inputs.
        ModelError: the model puts out no tensor, or none with one row per sample.

    Cost:
        Three forward passes, one on a few rows and one on two.
    """
    shown = look(model, inputs, n, axis=axis)
    notes = _remarks(shown)
    chosen = default(shown, notes) if layers is None else match(shown, layers)
    if not chosen:
        lost = first_few([f"{name} ({reason})" for name, reason in shown.lost.items()])
        raise ModelError(
            f"model: nothing that it puts out has one row for each of the {n} samples: {lost}. Let forward return one."
        )
    modules = dict(model.named_modules())
    with quiet(model):
        taps = [with_saturation(seen, modules) for seen in chosen]
    taps = sketch_wide(apply_rules(taps, reduce), notes)
    names = {tap.name for tap in taps}
    fed = [tap if tap.fed_by is None else replace(tap, fed_by=_feeder(shown, tap.fed_by, names)) for tap in taps]
    fed = _join(fed, chosen, shown.flow, inputs)
    if shown.flow is not None:
        padding = None if shown.flow.masks else unmasked_padding(model, inputs)
        notes += [] if padding is None else [padding]
        notes += remarks(_between(shown.flow, chosen, set(axis or {})))
    output = next((s.tap.name for s in chosen if s.tap.kind == "output" or s.identity == shown.end), None)
    writes = () if shown.flow is None else shown.flow.writes
    end = next((s for s in shown.seen if s.tap.kind == "output" or s.identity == shown.end), None)
    is_assumed = end is not None and end.site is not None and end.site.is_assumed
    head = shown.head if shown.head in names else None
    return Plan(tuple(fed), output, head, tuple(notes), writes, None if end is None else end.tap, is_assumed)


def _join(taps: Sequence[Tap], chosen: Sequence[Seen], shown: Flow | None, inputs: Any) -> list[Tap]:
    """The taps with what feeds them, whose values they repeat and under which mask they stand."""
    if shown is None:
        usual = "input['attention_mask']"
        mask = Mask(usual, "tokens") if usual in dict(named_tensors(inputs)) else None
        return [replace(tap, mask=mask) for tap in taps]
    names = {s.site.name: s.tap.name for s in chosen if s.site is not None}
    given = {site.name for site in shown.inputs}
    sites = {site.place: site for site in shown.among(names).sites}

    def tap_name(site_name: str) -> str:
        return INPUT if site_name in given else names.get(site_name.partition("[")[0], site_name)

    order = {tap.name: i for i, tap in enumerate(taps)}
    joined = []
    for tap in taps:
        site = sites.get(tap.place)
        if site is not None:
            found = {tap_name(name) for name in site.feeders}
            feeders = tuple(sorted(found, key=lambda name: (order.get(name, -1), name)))
            alias = names.get(site.alias_of or "")
            tap = replace(tap, feeders=feeders, alias_of=alias)  # noqa: PLW2901  the same tap, with what is known
        joined.append(tap)
    return joined


def _between(shown: Flow, chosen: Sequence[Seen], told: set[str]) -> Flow:
    """The flow between the layers chosen; of those whose axis the user tells, nothing is assumed."""
    sites = shown.among([s.site.name for s in chosen if s.site is not None]).sites
    names = {s.tap.place: s.tap.name for s in chosen}
    is_told = {place for place, name in names.items() if any(fnmatchcase(name, pattern) for pattern in told)}
    shown_as = (replace(s, name=names.get(s.place, s.name), is_assumed=s.is_assumed and s.place not in is_told)
                for s in sites)  # fmt: skip
    return replace(shown, sites=tuple(shown_as))


def _remarks(shown: Look) -> list[str]:
    """What the reader should know about what was seen."""
    notes = []
    if shown.output.key:
        notes.append(f"The model returns a {shown.returned}; its output is read from {shown.output.key}.")
    lost = [name for name in shown.lost if name == "output" or shown.kinds.get(name.split("#")[0]) in TAPPED]
    if lost:
        shown_lost = [f"{name} ({shown.lost[name]})" for name in lost]
        notes.append(f"Could not be read and left out: {first_few(shown_lost)}.")
    if shown.silent:
        notes.append(f"Never called as modules, so nothing is shown of them: {first_few(shown.silent)}.")
    if shown.mixing:
        notes.append(
            f"These layers have batch_first=False and take the axis of the samples for time, so that samples see each "
            f"other: {first_few(shown.mixing)}. Build them with batch_first=True, or turn the inputs."
        )
    if shown.unlike is not None and not shown.mixing:
        notes.append(str(shown.unlike))
    return notes


def _feeder(shown: Look, name: str, names: set[str]) -> str | None:
    """The chosen layer whose output is that of the layer named; None if it is not among the chosen."""
    if name in names:
        return name
    feeder = next(s for s in shown.seen if s.tap.name == name)
    return next((s.tap.name for s in shown.seen if s.tap.name in names and s.identity == feeder.identity), None)
