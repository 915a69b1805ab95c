"""Many small networks, trained in one call.

In: a list of `Net`s and one data set. Out: a `Fleet`. This module checks, chooses the engine, and
keeps the weights that are to be kept; it must not know how an engine computes.
"""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Literal, TypeAlias

import numpy as np
import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn

from unbend.errors import DataError, ModelError, ShapeError, UnsupportedError
from unbend.zoo.activations import ACTIVATIONS
from unbend.zoo.activations import activation as as_activation
from unbend.zoo.fleet.batched import Batched, alike, forward
from unbend.zoo.fleet.compiled import Compiled, refusal
from unbend.zoo.fleet.values import Fleet, Job, Net, activation_names, layers, offsets_of
from unbend.zoo.networks import Bend, mlp
from unbend.zoo.training import LossName, Recipe, check_recipe, loss_name, rate_factor

EngineName: TypeAlias = Literal["auto", "compiled", "batched"]

# Hidden widths from which torch's matrix products overtake the compiled loops (benchmarks/many_nets.py).
BATCHED_FROM_WIDTH = 48


_Engine: TypeAlias = Compiled | Batched


def many(
    nets: Sequence[Net],
    x: Float[Tensor, "n d"],
    y: Shaped[Tensor, "n ..."],
    recipe: Recipe | None = None,
    *,
    loss: LossName | None = None,
    keep_every: int = 0,
    engine: EngineName = "auto",
    progress: Callable[[int, int], None] | None = None,
) -> Fleet:
    """Train many small networks on the same samples, each step on all of them.

    Net by net the result is that of `train(mlp(...), x, y, recipe)` up to float rounding. The same call on
    the same machine gives the same bits. With the compiled engine they depend neither on the other nets in
    the call nor on the number of threads.

    Args:
        nets: the networks; input and output widths must fit `x` and `y`.
        x: samples; their device is where a batched fleet is trained, their dtype its precision.
        y: class indices `[n]`, or float targets `[n]` or `[n, k]`.
        recipe: `epochs` are steps here, as every step sees all samples; `batch_size` must be None. A rate in
            a `Net` goes before the recipe's. `n_threads` share the nets out among themselves.
        loss: "cross_entropy", "bce" or "mse"; when left out, as in `train`.
        keep_every: keep the weights after every so many steps; 0 keeps only the first and the last.
        engine: "compiled" runs loops compiled by numba, in float32 on the CPU, where every net may differ in
            widths, activation and rate; "batched" stacks nets of equal widths and activation in torch. "auto"
            compiles where it can and where it wins (hidden widths below `BATCHED_FROM_WIDTH`).
        progress: called now and then with the steps done and the steps in all.

    Raises:
        ShapeError: widths that do not fit the data.
        DataError: an empty list, or labels that do not fit the loss.
        UnsupportedError: a batch size, or an activation or device that the compiled engine does not have.

    Cost:
        Nets times steps times weights times samples. The first compiled call on a machine compiles for some seconds;
        later ones, also of other processes, find it on disk.

    Example:
        >>> nets = [Net((2, 3, 1), "tanh", seed=s) for s in range(20)]
        >>> x, y = torch.tensor([[0.0, 0], [0, 1], [1, 0], [1, 1]]), torch.tensor([0, 1, 1, 0])
        >>> fleet = many(nets, x, y, Recipe(epochs=500, rate=0.05))
        >>> fleet.loss.shape
        (2, 20)
    """
    recipe = recipe or Recipe()
    _check(nets, x, y, recipe)
    named = loss_name(loss, x.new_empty(len(x), nets[0].widths[-1]), y)
    rates = np.array([recipe.rate if net.rate is None else net.rate for net in nets], dtype=np.float64)
    job = Job(nets, x, _targets(y, named, nets[0].widths[-1], x), named, recipe, rates)
    chosen = _choose(engine, job)
    kept = {0, recipe.epochs, *(range(0, recipe.epochs, keep_every) if keep_every else ())}
    steps, weights, losses = _run(_ENGINES[chosen](job), recipe, kept, progress)
    widths, seeds = tuple(tuple(net.widths) for net in nets), np.array([net.seed for net in nets], dtype=np.int64)
    return Fleet(
        widths, activation_names(nets), seeds, rates, offsets_of(nets),
        steps=steps, weights=weights, loss=losses, loss_name=named, engine=chosen,
    )  # fmt: skip


def net_of(fleet: Fleet, index: int, *, kept: int = -1, activation: Bend | None = None) -> nn.Sequential:
    """One network of a fleet as a module, in evaluation mode.

    Args:
        fleet: the result of `many`.
        index: which network.
        kept: which of the kept steps; the last when left out.
        activation: needed only where it was a function of your own, which a `Fleet` knows by name alone.
    """
    model = mlp(fleet.widths[index], activation=_bend_of(fleet, index, activation), seed=0)
    row = torch.from_numpy(fleet.weights[kept, fleet.offsets[index] : fleet.offsets[index + 1]].copy())
    nn.utils.vector_to_parameters(row, model.to(row.dtype).parameters())
    return model.eval()


def fleet_outputs(
    fleet: Fleet, x: Float[Tensor, "n d"], *, kept: int = -1, activation: Bend | None = None
) -> Float[np.ndarray, "e n k"]:
    """What every network of a fleet gives for `x`.

    Args:
        fleet: the result of `many`.
        x: samples.
        kept: which of the kept steps; the last when left out.
        activation: needed only where it was a function of your own.
    """
    nets = [Net(widths, name) for widths, name in zip(fleet.widths, fleet.activations, strict=True)]
    row = torch.from_numpy(fleet.weights[kept])
    found = np.empty((len(nets), len(x), fleet.widths[0][-1]), dtype=fleet.weights.dtype)
    with torch.no_grad():
        for members in alike(nets).values():
            bend = as_activation(_bend_of(fleet, members[0], activation)).module().to(row).eval()
            stack = torch.stack([row[fleet.offsets[i] : fleet.offsets[i + 1]] for i in members])
            found[members] = forward(x.to(row), layers(stack, fleet.widths[members[0]]), bend).numpy()
    return found


def _bend_of(fleet: Fleet, index: int, activation: Bend | None) -> Bend:
    name = fleet.activations[index]
    if activation is not None or name in ACTIVATIONS:
        return name if activation is None else activation
    message = f"activation: the fleet knows {name!r} by name only. Pass the function as activation=..."
    raise ModelError(message)


def _run(
    engine: _Engine, recipe: Recipe, kept: set[int], progress: Callable[[int, int], None] | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    ticks = range(0, recipe.epochs, max(1, recipe.epochs // 50)) if progress else ()
    bends = {round(share * recipe.epochs) for share in recipe.decay_at}
    stops = sorted(stop for stop in {*kept, *ticks, *bends} if stop <= recipe.epochs)
    weights, losses = [engine.weights()], [engine.losses()]
    for start, stop in pairwise(stops):
        engine.advance(stop - start, rate_factor(recipe, start))
        if stop in kept:
            weights.append(engine.weights())
            losses.append(engine.losses())
        if progress is not None:
            progress(stop, recipe.epochs)
    return np.array(sorted(kept), dtype=np.int64), np.stack(weights), np.stack(losses)


def _choose(engine: EngineName, job: Job) -> Literal["compiled", "batched"]:
    if engine not in ("auto", *_ENGINES):
        message = f"engine: expected 'auto', 'compiled' or 'batched', got {engine!r}."
        raise DataError(message)
    if engine != "auto":
        return engine
    widest = max(max(net.widths[1:]) for net in job.nets)
    can = refusal(activation_names(job.nets), job.x.device, job.x.dtype) is None
    return "compiled" if can and widest < BATCHED_FROM_WIDTH else "batched"


_ENGINES: dict[str, Callable[[Job], _Engine]] = {"compiled": Compiled, "batched": Batched}


def _targets(y: Tensor, loss: LossName, n_outputs: int, x: Tensor) -> Float[Tensor, "k n"]:
    if loss != "cross_entropy":
        if y.numel() != len(y) * n_outputs:
            message = f"y: expected {n_outputs} targets per sample, as the nets have outputs, got {tuple(y.shape)}."
            raise ShapeError(message)
        return y.reshape(len(y), n_outputs).to(x).T
    if y.is_floating_point() or int(y.min()) < 0 or int(y.max()) >= n_outputs:
        message = f"y: expected class indices in [0, {n_outputs}), as the nets have outputs."
        raise DataError(message)
    return nn.functional.one_hot(y, n_outputs).to(x).T


def _check(nets: Sequence[Net], x: Tensor, y: Tensor, recipe: Recipe) -> None:
    if not nets:
        message = "nets: expected at least one network, got none."
        raise DataError(message)
    check_recipe(x, y, recipe)
    if recipe.batch_size is not None:
        message = "recipe: many takes all samples in every step. Leave batch_size out, or use train."
        raise UnsupportedError(message)
    for i, net in enumerate(nets):
        ends = (net.widths[0], net.widths[-1])
        if len(net.widths) < 2 or min(net.widths) < 1 or ends != (x.shape[1], nets[0].widths[-1]):
            message = (
                f"nets: expected widths from {x.shape[1]} (columns of x) to {nets[0].widths[-1]} outputs, "
                f"got {net.widths} for net {i}."
            )
            raise ShapeError(message)
        if not as_activation(net.activation).is_elementwise:
            message = f"nets: expected an elementwise activation, got {net.activation!r} for net {i}."
            raise DataError(message)
