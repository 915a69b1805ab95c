"""Rows on their way through a network: affine steps turn and stretch them, activations bend them.

In: a model and rows of its input, of any kind; for two inputs a grid of the plane too. Out: a `PlaneFlow`: each stage
in a plane, and what leads from one to the next.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from unbend._typing import Array, Float64, Int64
from unbend.capture import bare, quiet
from unbend.capture.inputs import n_samples
from unbend.capture.outputs import call
from unbend.capture.plan import INPUT, plan
from unbend.capture.taps import Caught, Tap, tapped
from unbend.capture.tokens import token_mask, token_masks
from unbend.errors import DataError, LayerError, ShapeError
from unbend.numerics.result import result
from unbend.numerics.view import Rule
from unbend.numerics.views import reduce as reduced

__all__ = ["PlaneFlow", "flow", "grid"]

N_LINES, N_POINTS = 13, 49
"""Lines of the grid each way, and points on each."""
_ROOM = 0.15
"""Room of the grid beside the rows, as a share of their extent."""
_EXACT = 1e-9
_AFFINE = (nn.Linear, nn.modules.conv._ConvNd, nn.modules.batchnorm._BatchNorm)  # noqa: SLF001  what each has in common


@result
class PlaneFlow:
    """Where rows and grid lines are at the input and after every layer, each in a plane of that layer.

    A stage of two units is shown as it is, its units along the axes. A wider one is shown in the plane of most variance
    of these rows, turned or mirrored as a whole to lie nearest to the stage before.

    Attributes:
        names: of the stages; the first is the input where it is numbers.
        widths: units of each [l].
        points: the rows at every stage [l, n, 2].
        lines: the grid at every stage [l, m, p, 2]; no lines but for two inputs.
        y: class of each row [n]; 0 throughout where there are none.
        class_names: of the classes; none where there are none.
        is_affine: whether the step to the next stage is an affine map of this one; anything else bends.
        weights: of the affine map from this plane to the next one that is nearest to the step [t, 2, 2]; the identity
            for a bend.
        biases: of that map [t, 2].
        shown: share of the variance of the rows that the plane of each stage holds [l].
    """

    names: tuple[str, ...]
    widths: Int64[Array, "l"]
    points: Float64[Array, "l n 2"]
    lines: Float64[Array, "l m p 2"]
    y: Int64[Array, "n"]
    class_names: tuple[str, ...]
    is_affine: tuple[bool, ...]
    weights: Float64[Array, "t 2 2"]
    biases: Float64[Array, "t 2"]
    shown: Float64[Array, "l"]


def flow(
    model: nn.Module,
    x: Any,
    y: Any = None,
    *,
    layers: Sequence[str] | None = None,
    lines: Float64[Array, "m p 2"] | None = None,
    class_names: Sequence[str] = (),
    reduce: Rule | Mapping[str, Rule] | None = None,
    axis: Mapping[str, int] | None = None,
) -> PlaneFlow:
    """Rows carried through a network, stage by stage, with a grid of the input plane where there are two inputs.

    A step is affine where the layer is (Linear, convolution, batch norm in evaluation) and takes what the stage before
    puts out; it is shown as the part of it that is one affine map of the plane, which turns, mirrors and stretches on
    the way, and a straight move of what is left. Everything else, activations first of all, moves every row straight to
    its place: a bend. Around a residual connection the step is a bend too.

    Args:
        model: any module; it stays as it is. It runs in evaluation mode.
        x: one batch of inputs, as the model takes it: an array or a tensor [n, ...], a tuple of arguments, a mapping.
        y: classes of the rows; None for none.
        layers: paths or globs of the stages; None for a sensible choice.
        lines: a grid of the input plane; None for one around the rows, `lines[:0]` for none.
        class_names: names of the classes.
        reduce: how positions are reduced, for all layers or by glob; None for the mean (last token for recurrent ones).
        axis: which axis of a layer's output holds its units, by name or glob; None for what the model shows.

    Raises:
        ShapeError: the model does not take `x`; `y` has other rows.
        LayerError: no such layer.
        DataError: fewer than two rows, or a stage with values that are not finite.

    Cost:
        Some forward passes over the rows and the grid, and a singular value decomposition of every stage.

    Example:
        >>> import unbend
        >>> data = unbend.zoo.data("moons", n=100, seed=0)
        >>> found = unbend.flow(unbend.zoo.mlp([2, 2, 1], activation="tanh", seed=0), data.x_train, data.y_train)
        >>> found.names, found.is_affine
        (('input', '0 affine', '1 Tanh', '2 affine'), (True, False, True))
    """
    net = bare(model)
    inputs = _as_taken(x, net)
    n = n_samples(inputs)
    if n < 2:
        raise DataError(f"x: expected at least two rows, got {n}.")
    classes = _classes(y, n)
    places = plan(net, inputs, n, layers=layers, reduce=reduce, axis=axis)
    taps = [tap for tap in places.taps if layers is not None or tap.alias_of is None]
    is_plane = isinstance(inputs, Tensor) and inputs.is_floating_point() and inputs.shape[1:] == (2,)
    if is_plane:
        grid = _around(inputs.double().numpy()) if lines is None else lines
        along = torch.as_tensor(grid.reshape(-1, 2), dtype=inputs.dtype)
        whole = torch.cat([inputs, along])
    else:
        grid, whole = np.zeros((0, 2, 2)), inputs
    tables = _tables(net, taps, places.protect(whole))
    if isinstance(inputs, Tensor) and inputs.is_floating_point():
        tables = {INPUT: whole.flatten(1).double().numpy()} | tables
    if len(tables) < 2:
        raise LayerError("layers: expected at least one layer behind the input. Name more.")
    return _flow(net, {tap.name: tap for tap in taps}, tables, n, grid.shape, classes, tuple(class_names))


def _flow(
    net: nn.Module, taps: dict[str, Tap], tables: dict[str, Array], n: int, grid: tuple[int, ...],
    y: Int64[Array, "n"], class_names: tuple[str, ...],
) -> PlaneFlow:  # fmt: skip
    """The stages in their planes, and the maps between them."""
    modules = dict(net.named_modules())
    names, planes, shown, affine, weights, biases = [], [], [], [], [], []
    before = ""

    def alias_of(stage: str) -> str | None:
        return taps[stage].alias_of if stage in taps else None

    for name, table in tables.items():
        if not np.isfinite(table).all():
            raise DataError(f"x: layer {name!r} puts out values that are not finite. Leave those rows out.")
        plane, share = _plane(table, n, planes[-1] if planes else None)
        tap = taps.get(name)
        is_affine = bool(planes) and tap is not None and _is_affine(tap, modules, {before, alias_of(before)})
        names.append(name if tap is None or tap.function else f"{name} {'affine' if is_affine else tap.module}")
        if planes:
            weight, bias = np.eye(2), np.zeros(2)
            if is_affine and tap is not None:
                weight, bias = _own_map(modules.get(tap.path), table) or _nearest_map(planes[-1][:n], plane[:n])
            affine.append(is_affine)
            weights.append(weight)
            biases.append(bias)
        planes.append(plane)
        shown.append(share)
        before = name
    stages = np.stack(planes)
    return PlaneFlow(
        names=tuple(names), widths=np.array([table.shape[1] for table in tables.values()]), points=stages[:, :n],
        lines=stages[:, n:].reshape(len(stages), *grid), y=y, class_names=class_names, is_affine=tuple(affine),
        weights=np.stack(weights), biases=np.stack(biases), shown=np.array(shown),
    )  # fmt: skip


def _as_taken(x: Any, net: nn.Module) -> Any:
    """Inputs as the model takes them: an array as a tensor of its numbers' kind."""
    if isinstance(x, np.ndarray):
        x = torch.from_numpy(np.ascontiguousarray(x))
    first = next((p for p in net.parameters() if p.is_floating_point()), None)
    if isinstance(x, Tensor) and x.is_floating_point() and first is not None:
        return x.detach().to(first.dtype)
    return x


def _classes(y: Any, n: int) -> Int64[Array, "n"]:
    if y is None:
        return np.zeros(n, np.int64)
    found = np.asarray(y.detach().cpu() if isinstance(y, Tensor) else y)
    if found.shape != (n,) or found.dtype.kind not in "iub":
        raise ShapeError(f"y: expected {n} class numbers, one for each row of x, got {found.dtype} of {found.shape}.")
    return found.astype(np.int64)


def _tables(net: nn.Module, taps: Sequence[Tap], inputs: Any) -> dict[str, Float64[Array, "n _d"]]:
    """What every stage puts out, as one row per sample."""
    masks = token_masks(inputs, taps)
    found: dict[str, Array] = {}

    def receive(tap: Tap, caught: Caught) -> None:
        rows = reduced(caught.values, tap.view, mask=token_mask(tap, caught, masks))
        found[tap.name] = rows.detach().double().cpu().numpy().copy()

    with quiet(net), tapped(net, taps, receive):
        call(net, inputs)
    return found


def _plane(
    table: Float64[Array, "m d"], n: int, before: Float64[Array, "m 2"] | None
) -> tuple[Float64[Array, "m 2"], float]:
    """A stage in a plane, whose axes are found from the first `n` rows; and the share of their variance in it."""
    width = table.shape[1]
    if width <= 2:
        return np.pad(table, ((0, 0), (0, 2 - width))), 1.0
    middle = table[:n].mean(0)
    _, sizes, right = np.linalg.svd(table[:n] - middle, full_matrices=False)
    flat = (table - middle) @ right[:2].T
    total = float((sizes**2).sum())
    share = float((sizes[:2] ** 2).sum()) / total if total > 0 else 1.0
    if flat.shape[1] < 2:
        flat = np.pad(flat, ((0, 0), (0, 2 - flat.shape[1])))
    if before is None:
        return flat, share
    onto = before[:n] - before[:n].mean(0)
    left, _, turned = np.linalg.svd(flat[:n].T @ onto)
    return flat @ left @ turned, share


def _is_affine(tap: Tap, modules: dict[str, nn.Module], before: set[str | None]) -> bool:
    """Whether the layer is an affine map of the stage before, or of what that one hands on."""
    return not tap.function and isinstance(modules.get(tap.path), _AFFINE) and (tap.fed_by or INPUT) in before


def _own_map(module: nn.Module | None, table: Array) -> tuple[Array, Array] | None:
    """Weight and bias of a Linear layer from two units to two: then the planes are the layers themselves."""
    if not isinstance(module, nn.Linear) or module.weight.shape != (2, 2) or table.shape[1] != 2:
        return None
    bias = torch.zeros(2) if module.bias is None else module.bias
    return module.weight.detach().double().cpu().numpy(), bias.detach().double().cpu().numpy()


def _nearest_map(points: Float64[Array, "n 2"], after: Float64[Array, "n 2"]) -> tuple[Array, Array]:
    """The affine map of the plane that takes the rows nearest to where they go, in squares."""
    middle = points.mean(0)
    weight = np.linalg.lstsq(points - middle, after - after.mean(0), rcond=_EXACT)[0].T
    return weight, after.mean(0) - weight @ middle


def _around(x: Float64[Array, "n 2"]) -> Float64[Array, "m p 2"]:
    low, high = x.min(0), x.max(0)
    pad = _ROOM * np.maximum(high - low, 1e-9)
    return grid(low - pad, high + pad)


def grid(
    low: Sequence[float | int] | Float64[Array, "2"], high: Sequence[float | int] | Float64[Array, "2"], *,
    n_lines: int = N_LINES, n_points: int = N_POINTS,
) -> Float64[Array, "m p 2"]:  # fmt: skip
    """The lines of a square grid over a box of the plane, `n_lines` each way, `n_points` on each.

    Example:
        >>> grid((0, 0), (1, 1), n_lines=3, n_points=5).shape
        (6, 5, 2)
    """
    along = np.linspace(0.0, 1.0, n_points)
    place = np.linspace(0.0, 1.0, n_lines)
    level = np.stack(np.meshgrid(along, place), axis=-1)
    lines = np.concatenate([level, level[..., ::-1]])
    return np.asarray(low, dtype=np.float64) + lines * (np.asarray(high, dtype=np.float64) - np.asarray(low))
