"""What of the input an output hangs on: gradients by Captum, each beside the same map of random weights.

In: a model and data. Out: a `Saliency`. A map that looks the same when all weights are drawn anew tells of the input,
not of what the network learned (Adebayo et al. 2018): so every method carries that check.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeAlias, Unpack

import numpy as np
import torch
from torch import Tensor, nn

from unbend._typing import Array, Bool, Float64, Int64, Shaped
from unbend.capture import as_rows, quiet, tensor_of, twin
from unbend.capture import call as call_model
from unbend.capture.inputs import map_tensors, named_tensors, take
from unbend.capture.quiet import hear_modules
from unbend.capture.tokens import token_masks
from unbend.errors import DataError, MissingExtraError
from unbend.explain.defaults import SALIENCY_METHODS, SALIENCY_ROWS
from unbend.explain.setup import Setup, setup
from unbend.explain.units.examples import Form, as_maps, names_of, picture
from unbend.numerics.result import result
from unbend.study.progress import Progress, silent, ticker, with_bars
from unbend.study.settings import ReadAs

Forward: TypeAlias = Callable[[Tensor, Tensor], Tensor]
"""From the entry (the input, or the embeddings of its tokens), and which row each of it is of, to the scores [n, k]."""
Method: TypeAlias = Callable[[Forward, Tensor, Tensor, Tensor], Tensor]
"""From forward, entry, targets and baseline to one number for each number of the entry."""
SAME = 0.5
"""From this rank correlation with the map of random weights on a method fails its check."""
_STEPS = 64
_SAMPLES = 24
_NOISE = 0.1


@result
class Saliency:
    """Maps of what some outputs hang on.

    Attributes:
        form: how inputs are shown: image, columns, tokens.
        ids: row numbers [n].
        x: the inputs, as they are shown [n, ...].
        y: their classes [n]; of other labels the group that pictures tell rows apart by.
        target: the output whose score is explained: of several the one the network says [n].
        score: that score [n].
        maps: by method: the attribution of every pixel, column or token [n, ...]; with its sign where a method has one,
            as integrated gradients do.
        random_maps: the same of the network with all weights drawn anew.
        similarity: by method: Spearman's rank correlation of the two, a row each, for each draw of the weights [n, t].
        passes: by method: whether the mean correlation is below one half, so that the map hangs on the weights.
        gap: of integrated gradients: how far the attributions of a row are from adding up to the difference of the
            score from that of the baseline, as a share of it [n]; NaN where the method was not asked for.
        counts: which tokens count, by the mask among the inputs [n, t]; of other inputs all do.
        output_names: what each score is of: a class, a yes/no label; of one score for two classes it is the second.
        column_names: of columns; empty where they have none.
        part: of several inputs the one that is explained; empty where there is one.
        kept: the others, which stay as they are; masks are not named.
    """

    form: Form
    ids: Int64[Array, "n"]
    x: Shaped[Array, "n ..."]
    y: Int64[Array, "n"]
    target: Int64[Array, "n"]
    score: Float64[Array, "n"]
    maps: dict[str, Array]
    random_maps: dict[str, Array]
    similarity: dict[str, Array]
    passes: dict[str, bool]
    gap: Float64[Array, "n"]
    counts: Bool[Array, "n ..."]
    output_names: tuple[str, ...]
    column_names: tuple[str, ...]
    part: str
    kept: tuple[str, ...]


def gradient(forward: Forward, entry: Tensor, target: Tensor, baseline: Tensor) -> Tensor:
    """|∂f/∂x| (Simonyan et al. 2013)."""
    del baseline
    return _captum().Saliency(forward).attribute(entry, target=target, abs=True, additional_forward_args=_each(entry))


def integrate(forward: Forward, entry: Tensor, target: Tensor, baseline: Tensor) -> Tensor:
    """Integrated gradients from the baseline (Sundararajan et al. 2017)."""
    method = _captum().IntegratedGradients(forward)
    return method.attribute(entry, baseline, target=target, additional_forward_args=_each(entry), n_steps=_STEPS,
                            internal_batch_size=len(entry) * 8)  # fmt: skip


def smooth(forward: Forward, entry: Tensor, target: Tensor, baseline: Tensor) -> Tensor:
    """SmoothGrad: the mean of |∂f/∂x| under noise of a tenth of the input's range (Smilkov et al. 2017)."""
    del baseline
    attr = _captum()
    noise = _NOISE * float(entry.detach().max() - entry.detach().min())
    tunnel = attr.NoiseTunnel(attr.Saliency(forward))
    return tunnel.attribute(entry, target=target, nt_type="smoothgrad", nt_samples=_SAMPLES, stdevs=noise,
                            nt_samples_batch_size=4, abs=True, additional_forward_args=_each(entry))  # fmt: skip


def _each(entry: Tensor) -> Tensor:
    """The number of each row, which Captum repeats as it repeats the entry."""
    return torch.arange(len(entry), device=entry.device)


METHODS: dict[str, Method] = dict(zip(SALIENCY_METHODS, (gradient, integrate, smooth), strict=True))


@with_bars
def saliency(
    model: nn.Module,
    data: Any,
    *,
    held_out: Any = None,
    methods: Mapping[str, Method] | Sequence[str] = SALIENCY_METHODS,
    rows: Sequence[int] | int = SALIENCY_ROWS,
    n_draws: int = 3,
    seed: int = 0,
    progress: Progress = silent,
    **read_as: Unpack[ReadAs],
) -> Saliency:
    """What the scores of some held-out rows hang on, and whether each method passes the check of random weights.

    Args:
        model: any module that puts out one row of scores for each sample; it stays as it is.
        data: samples with classes, as `unbend.study` takes them.
        held_out: the held-out part; left out, a fifth of the rows by hash.
        methods: names of methods, or functions (forward, entry, targets, baseline) by name.
        rows: how many held-out rows, of as many classes as there are; or which ones, as places among them.
        n_draws: how often all weights are drawn anew for the check.
        seed: of the noise and of the draws.
        progress: called as it goes on; left out, bars show by themselves.
        read_as: `reduce`, `axis`, `inputs`, `target`, `output`, `groups` and `n_classes`, as `unbend.study` takes them.

    Raises:
        DataError: no such method or row; inputs that are neither numbers nor tokens with an embedding.
        MissingExtraError: Captum is not installed.

    Cost:
        1 + 64 + 24 backward passes over these rows, for the network and for each draw.

    Source:
        Adebayo, Gilmer, Muelly, Goodfellow, Hardt and Kim, Sanity checks for saliency maps, NeurIPS 2018.
    """
    chosen = _methods(methods)
    with setup(model, data, held_out=held_out, rows=2000, needs_classes=False, **read_as) as made:
        return _check(made, chosen, rows, n_draws, seed, progress)


def _check(
    made: Setup, chosen: dict[str, Method], rows: Sequence[int] | int, n_draws: int, seed: int, progress: Progress
) -> Saliency:
    """The maps of some rows, beside those of weights drawn anew."""
    subject = made.subject
    if not subject.held_out.n:
        raise DataError("held_out: there are no held-out rows to explain. Pass some.")
    y = made.groups(subject.held_out.y)[0]
    at = _rows(y, rows)
    inputs = subject.held_out.of(at)[0]
    names = made.work.rows.column_names
    form, x = picture(inputs, len(at), names)
    with torch.random.fork_rng([]):
        own, target, score = _maps(made, made.model, inputs, None, chosen, seed)
        tick = ticker(progress, "Random weights", n_draws)
        drawn = []
        for i in range(n_draws):
            fresh = twin(made.model, seed=seed + i)
            with made.reading(fresh):
                drawn.append(_maps(made, fresh, inputs, target, chosen, seed)[0])
            tick(1)
    places = own[next(iter(chosen))].shape
    counts = _counting(made, inputs, places) if form == "tokens" else np.ones(places, bool)
    similarity = {name: np.stack([_rank_r(own[name], other[name], counts) for other in drawn], 1) for name in chosen}
    ids = subject.held_out.ids
    assert ids is not None  # noqa: S101  rows of a source have numbers
    sums = own.pop(_GAP, np.full(len(at), np.nan))
    for other in drawn:
        other.pop(_GAP, None)
    part, kept = _parts(inputs, form)
    return Saliency(
        part=part, kept=kept, form=form, ids=ids[at.numpy()], x=x, y=y[at.numpy()], target=target.cpu().numpy(),
        score=score,
        maps={name: own[name] for name in chosen}, random_maps={name: drawn[0][name] for name in chosen},
        similarity=similarity, passes={name: bool(np.nanmean(r) < SAME) for name, r in similarity.items()}, gap=sums,
        counts=counts, output_names=made.output_names, column_names=_column_names(inputs, form, names),
    )  # fmt: skip


def _column_names(inputs: Any, form: Form, names: tuple[str, ...]) -> tuple[str, ...]:
    return names_of(_floats(inputs)[0], names) if form == "columns" else ()


def _floats(inputs: Any) -> list[Tensor]:
    """The tensors of numbers among the inputs, of which the first is explained."""
    return [t for name, t in named_tensors(inputs) if t.is_floating_point() and t.ndim > 1 and "mask" not in name]


_GAP = "\0gap"


def _methods(methods: Mapping[str, Method] | Sequence[str]) -> dict[str, Method]:
    if isinstance(methods, Mapping):
        return dict(methods)
    unknown = [name for name in methods if name not in METHODS]
    if unknown or not methods:
        said = f"no method named {unknown[0]!r}" if unknown else "expected at least one"
        raise DataError(f"methods: {said}. There are: {', '.join(METHODS)}.")
    return {name: METHODS[name] for name in methods}


def _rows(y: Int64[Array, "m"], rows: Sequence[int] | int) -> Tensor:
    """Places of the rows: the first of each class in turn, or those asked for."""
    if not isinstance(rows, int):
        bad = [row for row in rows if not 0 <= row < len(y)]
        if bad:
            raise DataError(f"rows: expected places from 0 to {len(y) - 1} among the held-out rows, got {bad[0]}.")
        return torch.tensor(list(rows))
    turn = np.zeros(len(y), np.int64)
    for label in np.unique(y):
        mine = np.flatnonzero(y == label)
        turn[mine] = np.arange(len(mine))
    return torch.from_numpy(np.lexsort((np.arange(len(y)), y, turn))[:rows].copy())


def _parts(inputs: Any, form: Form) -> tuple[str, tuple[str, ...]]:
    """Of several inputs the one that is explained, and the others; of texts only numbers are others."""
    named = {_part_name(name): t for name, t in named_tensors(inputs)}
    floats = [name for name, t in named.items() if t.is_floating_point() and t.ndim > 1 and "mask" not in name]
    if form == "tokens":
        tokens = next((name for name, t in named.items() if not t.is_floating_point() and "mask" not in name), "")
        return (tokens, tuple(floats)) if floats else ("", ())
    others = tuple(name for name in named if name != floats[0] and "mask" not in name) if floats else ()
    return (floats[0], others) if others else ("", ())


def _part_name(where: str) -> str:
    """What a part of the inputs is called, by how it is reached."""
    name = where.removeprefix("input").strip(".[]'\"")
    return f"input {name}" if name.isdecimal() else name


@dataclass(frozen=True, slots=True, eq=False)
class _Entry:
    """Where attributions begin: a floating-point input, or what the first embedding puts out."""

    values: Tensor
    forward: Forward


def _maps(
    made: Setup, model: nn.Module, inputs: Any, target: Tensor | None, methods: Mapping[str, Method], seed: int
) -> tuple[dict[str, Array], Tensor, Float64[Array, "n"]]:
    """The map of every method, the targets, and their scores; beside the maps how far integrated gradients add up."""
    with quiet(model, grad=True), _entry(model, made, inputs) as entry:
        with torch.no_grad():
            scores = entry.forward(entry.values, _each(entry.values))
        if target is None:
            target = scores.argmax(1) if scores.shape[1] > 1 else torch.zeros(len(scores), dtype=torch.int64)
        baseline = torch.zeros_like(entry.values)
        found: dict[str, Array] = {}
        for name, method in methods.items():
            torch.manual_seed(seed)
            raw = method(entry.forward, entry.values.clone().requires_grad_(), target, baseline).detach()
            if method is integrate:
                with torch.no_grad():
                    start = entry.forward(baseline, _each(baseline))
                wanted = (scores - start).gather(1, target[:, None])[:, 0]
                found[_GAP] = ((raw.flatten(1).sum(1) - wanted).abs() / wanted.abs().clamp_min(1e-9)).double().numpy()
            found[name] = _reduce(raw, inputs, made.work.rows.column_names)
    return found, target, scores.gather(1, target[:, None])[:, 0].double().cpu().numpy()


@contextmanager
def _entry(model: nn.Module, made: Setup, inputs: Any) -> Iterator[_Entry]:
    """The tensor that attributions are about, and the scores as a function of it."""
    protect = made.work.plan.protect
    floats = _floats(inputs)
    if floats and picture(inputs, len(floats[0]))[0] != "tokens":
        first, n = floats[0], len(floats[0])
        at = next(i for i, (_, t) in enumerate(named_tensors(inputs)) if t is first)

        def forward(e: Tensor, rows: Tensor) -> Tensor:
            return _scores(model, protect(_with(take(inputs, rows, n), at, e.to(first.dtype))))

        yield _Entry(first.detach(), forward)
        return
    module = _embedding(model, protect(inputs))
    if module is None:
        raise DataError("data: the input is neither floating-point numbers nor tokens that an embedding reads.")
    with torch.no_grad(), _replaced(module, None) as caught:
        call_model(model, protect(inputs))

    embedded = caught[0].detach()

    def embedding_forward(e: Tensor, rows: Tensor) -> Tensor:
        with _replaced(module, e.to(embedded.dtype)):
            return _scores(model, protect(take(inputs, rows, len(embedded))))

    yield _Entry(embedded, embedding_forward)


def _embedding(model: nn.Module, inputs: Any) -> nn.Module | None:
    """The first embedding that reads a whole tensor of the input, wherever it stands; None where there is none."""
    given = [t for _, t in named_tensors(inputs) if not t.is_floating_point()]
    found: list[nn.Module] = []

    def hear(_path: str, module: nn.Module, args: Any) -> None:
        if any(args and args[0].shape == t.shape and torch.equal(args[0], t) for t in given):
            found.append(module)

    embeddings = [(path, module) for path, module in model.named_modules() if isinstance(module, nn.Embedding)]
    with torch.no_grad(), hear_modules(embeddings, hear, lambda *_called: None):
        call_model(model, inputs)
    return found[0] if found else None


@contextmanager
def _replaced(module: nn.Module, value: Tensor | None) -> Iterator[list[Tensor]]:
    """The module puts out a given tensor at its first call; without one its own output is kept."""
    caught: list[Tensor] = []

    def hook(_module: nn.Module, _args: Any, output: Tensor) -> Tensor | None:
        caught.append(output)
        return value if len(caught) == 1 else None

    handle = module.register_forward_hook(hook)
    try:
        yield caught
    finally:
        handle.remove()


def _with(inputs: Any, at: int, new: Tensor) -> Any:
    """The inputs with another tensor in the place of the at-th."""
    old = [t for _, t in named_tensors(inputs)][at]
    return map_tensors(inputs, lambda t: new if t is old else t)


def _scores(model: nn.Module, inputs: Any) -> Tensor:
    found = tensor_of(call_model(model, inputs))
    scores = None if found is None else as_rows(found.tensor)
    if scores is None or scores.ndim != 2:
        raise DataError("model: expected one row of scores for each sample. Let forward return [n, classes].")
    return scores


def _reduce(raw: Tensor, inputs: Any, names: Sequence[str]) -> Array:
    """One attribution for each pixel or token: their sum where they have signs, else the greatest or their norm."""
    form = picture(inputs, len(raw), names)[0]
    raw, is_signed = raw.double().cpu(), bool((raw < 0).any())
    if form == "tokens" and raw.ndim > 2:
        whole = raw.flatten(2)
        return (whole.sum(2) if is_signed else whole.pow(2).sum(2).sqrt()).numpy()
    if form == "image":
        whole = as_maps(raw)
        return (whole.sum(1) if is_signed else whole.amax(1)).numpy()
    return raw.flatten(1).numpy()


def _counting(made: Setup, inputs: Any, shape: tuple[int, ...]) -> Bool[Array, "n t"]:
    """Which tokens count: what is padding has no attribution in any network, so that its maps would be alike."""
    masks = token_masks(inputs, made.work.plan.taps).values()
    found = next((mask for mask in masks if tuple(mask.shape) == shape), None)
    return np.ones(shape, bool) if found is None else found.cpu().numpy()


def _rank_r(a: Array, b: Array, counts: Bool[Array, "n ..."]) -> Float64[Array, "n"]:
    """Spearman's rank correlation of what counts in two maps, row by row; 0 where one is constant."""
    return np.array([_rank_r_of(x[mine], y[mine]) for x, y, mine in zip(a, b, counts, strict=True)])


def _rank_r_of(a: Array, b: Array) -> float:
    from scipy.stats import rankdata  # noqa: PLC0415  half a second to load

    first, second = (part - part.mean() for part in map(rankdata, (a, b)))
    size = float(np.sqrt((first @ first) * (second @ second)))
    return float(first @ second) / size if size > 0 else 0.0


def _captum() -> Any:
    try:
        from captum import attr  # noqa: PLC0415  an extra
    except ImportError:
        raise MissingExtraError("saliency: needs Captum. Install it: pip install 'unbend[saliency]'") from None
    return attr
