"""What operations on a layer need to know of the training rows: its mean, its eraser, its best affine map.

In: a model on data. Out: a `LayerFit` for every layer. One pass over the training rows, in which all sums are streamed.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from math import gcd
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from unbend._typing import Array, Float64
from unbend.capture import Tap, call, quiet, tapped, tensor_of
from unbend.explain.setup import Setup
from unbend.numerics.erasure import Eraser, erase, erase_random
from unbend.numerics.moments import MomentState
from unbend.numerics.products import Products
from unbend.numerics.second import SecondState, eigen
from unbend.numerics.streaming.choose import Selection
from unbend.study.progress import Progress, ticker
from unbend.study.source import Part
from unbend.study.values import wanted_state

_RIDGE = 1e-6
"""Penalty of the affine map, as a share of the variance of a unit."""
_POSITIONS = 4096
"""Rows of a batch, positions of all samples, that an affine map is fitted to at most."""
WIDEST = 4096
"""Units of a layer whose covariance is taken at most."""


@dataclass(frozen=True, slots=True, eq=False)
class AffineMap:
    """The best affine map from a layer's input to its output, at every position alike.

    Attributes:
        weight: [d, inputs].
        bias: [d].
        r2: share of the output's variance that it gives, on the rows it was fitted to.
        n: rows, positions of all samples.
    """

    weight: Float64[Array, "d i"]
    bias: Float64[Array, "d"]
    r2: float
    n: int

    def __call__(self, x: Tensor) -> Tensor:
        """The map of rows [..., inputs]."""
        weight, bias = (torch.from_numpy(part).to(x) for part in (self.weight, self.bias))
        return x @ weight.T + bias


@dataclass(frozen=True, slots=True, eq=False)
class LayerFit:
    """What is known of a layer.

    Attributes:
        mean: of every unit.
        eraser: of the classes; None where its covariance was not taken.
        control: an eraser of as many directions drawn at random.
        affine: its best affine map; None where its input and output do not stand at the same positions.
        takes_its_shape: whether its input has the shape of its output.
    """

    mean: Float64[Array, "d"]
    eraser: Eraser | None
    control: Eraser | None
    affine: AffineMap | None
    takes_its_shape: bool


def fit_layers(made: Setup, taps: Sequence[Tap], progress: Progress, *, seed: int = 0) -> dict[str, LayerFit]:
    """The mean, the eraser and the affine map of every layer.

    Args:
        made: the model on data.
        taps: the layers.
        progress: called as it goes on.
        seed: of the control's directions.
    """
    rows = made.work.rows
    maps = {tap.name: _MapSums(made.model, tap, tap) for tap in taps if not tap.function}
    states = made.states(
        taps, rows.batches("train"), (MomentState, SecondState), selection=Selection(),
        tick=ticker(progress, "Training rows", rows.n["train"]), hooks=[one.listening() for one in maps.values()],
    )  # fmt: skip
    return {tap.name: _fit(states[tap.name], tap, maps.get(tap.name), seed) for tap in taps}


def _fit(states: dict[str, Any], tap: Tap, maps: "_MapSums | None", seed: int) -> LayerFit:
    moments, second = wanted_state(states, MomentState), wanted_state(states, SecondState)
    is_whole = tap.view.rule in {"none", "mean", "last", "cls", "flatten"} and not tap.view.sketch
    eraser = erase(second) if is_whole else None
    control = None if eraser is None else erase_random(second, eraser.rank, seed)
    return LayerFit(
        moments.total / np.maximum(moments.count, 1), eraser, control, None if maps is None else maps.affine(),
        tap.function != "" or (maps is not None and maps.takes_its_shape),
    )  # fmt: skip


def fit_runs(made: Setup, runs: Sequence[tuple[Tap, ...]], progress: Progress) -> list[AffineMap | None]:
    """The best affine map from the input of the first to the output of the last layer, for runs of modules.

    Cost:
        A pass over the training rows.
    """
    sums = [_MapSums(made.model, run[0], run[-1]) for run in runs]
    _listen(made, sums, "train", ticker(progress, "Runs of layers", made.work.rows.n["train"]))
    return [one.affine() for one in sums]


def affine_fits(made: Setup, taps: Sequence[Tap], progress: Progress) -> dict[str, float]:
    """How much of a matrix each layer is: R² on held-out rows of its best affine map, fitted to training rows.

    Cost:
        A pass over all rows.
    """
    modules = [tap for tap in taps if not tap.function]
    train, held_out = ({tap.name: _MapSums(made.model, tap, tap) for tap in modules} for _ in range(2))
    parts: tuple[tuple[Part, dict[str, _MapSums]], ...] = (("train", train), ("held_out", held_out))
    for part, sums in parts:
        _listen(made, list(sums.values()), part, ticker(progress, "Affine maps", made.work.rows.n[part]))
    found = {}
    for name, sums in train.items():
        fitted, judged = sums.affine(), held_out[name].second()
        if fitted is not None and judged is not None:
            found[name] = r2_of(fitted.weight, fitted.bias, judged)
    return found


def _listen(made: Setup, sums: Sequence["_MapSums"], part: Part, tick: Callable[[int], None]) -> None:
    """Add up what modules take and put out over the rows of a part."""
    with quiet(made.model), ExitStack() as stack:
        for one in sums:
            stack.enter_context(one.listening())
        stack.enter_context(tapped(made.model, (), lambda *_caught: None))
        for minibatch in made.work.rows.batches(part):
            call(made.model, made.work.plan.protect(made.work.fit(minibatch.inputs)))
            tick(len(minibatch.ids))


def r2_of(weight: Float64[Array, "d i"], bias: Float64[Array, "d"], second: SecondState) -> float:
    """The share of the variance of rows that an affine map gives, from their second moments."""
    gap = second.mean @ weight.T + bias - second.y_mean
    left = np.trace(second.yy) - 2 * np.sum(weight.T * second.cross) + second.n * float(gap @ gap)
    left += np.sum((weight @ second.gram) * weight)
    total = float(np.trace(second.yy))
    return 1 - float(left) / total if total > 0 else np.nan


class _MapSums:
    """Products of the input of one module and the output of another, position by position."""

    def __init__(self, model: nn.Module, first: Tap, last: Tap) -> None:
        self._first, self._last, self._tap = model.get_submodule(first.path), model.get_submodule(last.path), last
        self._model = model
        self._calls, self._numbers = [0, 0], (first.call, last.call)
        self._products: Products | None = None
        self._given: Tensor | None = None
        self.takes_its_shape: bool = False
        self._is_lost = False

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Within it products are added."""
        with ExitStack() as stack:
            stack.callback(self._model.register_forward_pre_hook(self._forget).remove)
            stack.callback(self._first.register_forward_pre_hook(self._begin, with_kwargs=True).remove)
            stack.callback(self._last.register_forward_hook(self._end).remove)
            yield

    def _forget(self, _module: nn.Module, _args: Any) -> None:
        self._calls = [0, 0]

    def _is_turn(self, at: int) -> bool:
        """Whether this call is the one that is meant."""
        self._calls[at] += 1
        return self._calls[at] - 1 == self._numbers[at]

    def _begin(self, _module: nn.Module, args: Any, kwargs: Any) -> None:
        if not self._is_turn(0):
            return
        found = next((value for value in (*args, *kwargs.values()) if isinstance(value, Tensor)), None)
        self._given = None if found is None else found.detach().clone()

    def _end(self, _module: nn.Module, _args: Any, output: Any) -> None:
        if not self._is_turn(1):
            return
        found, given = tensor_of(output), self._given
        if found is None or given is None or not given.is_floating_point() or given.ndim != found.tensor.ndim:
            self._is_lost = True
            return
        out = found.tensor
        self.takes_its_shape = given.shape == out.shape
        if self._tap.view.layout == "maps":
            given, out = given.movedim(1, -1), out.movedim(1, -1)
        is_alike = given.shape[:-1] == out.shape[:-1]
        self._is_lost = self._is_lost or not is_alike or max(given.shape[-1], out.shape[-1]) > WIDEST
        if self._is_lost:
            return
        x, y = given.flatten(0, -2), out.detach().flatten(0, -2)
        step = even_step(len(x), len(x) // max(len(out), 1))
        if self._products is None:
            self._products = Products(x.shape[1], y.shape[1], x.device)
        self._products.add(x[::step].contiguous(), y[::step].double().contiguous())

    def second(self) -> SecondState | None:
        """The second moments; None where there are none."""
        return None if self._is_lost or self._products is None else SecondState.from_products(self._products)

    def affine(self) -> AffineMap | None:
        """The best affine map; None where there is none."""
        found = self.second()
        return None if found is None else best_affine(found)


def even_step(n: int, positions: int) -> int:
    """The step from position to position that leaves at most 4,096 of all and passes over none for good.

    One that shares a factor with the positions of a row would take some of them in every row: of maps of 8 × 8 pixels
    every fourth is a column at the edge or in the middle.

    Args:
        n: positions of all rows.
        positions: of one row.

    Example:
        >>> even_step(4096, 64), even_step(16384, 64), even_step(65536, 9 * 5)
        (1, 5, 16)
    """
    step = max(-(-n // _POSITIONS), 1)
    while gcd(step, positions) > 1:
        step += 1
    return step


def best_affine(second: SecondState) -> AffineMap:
    """The affine map of least squares from rows to targets.

    Args:
        second: second moments of the rows and their targets.
    """
    basis = eigen(second)
    weight = (basis.scale[:, None] * basis.solve(basis.scale[:, None] * second.cross, _RIDGE)).T
    bias = second.y_mean - weight @ second.mean
    return AffineMap(weight, bias, r2_of(weight, bias, second), second.n)
