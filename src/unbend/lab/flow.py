"""Data and a grid flowing through a net with two units in every layer, step by step: first affine, then the bend.

In: an `nn.Sequential` and points of the plane. Out: a `PlaneFlow` of plain arrays, and its frames on axes.
It must not know any claim.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Float64, Shaped
from matplotlib.axes import Axes
from torch import nn

from unbend.errors import ShapeError
from unbend.lab.draw import legend, scatter, warped_grid

STEPS, HOLD = 12, 6
"""Frames of a move, and frames of rest after it."""


@dataclass(frozen=True, slots=True, eq=False)
class PlaneFlow:
    """Where points and grid lines are before the first layer and after every one.

    Args:
        names: of the stages; the first is the input.
        points: the samples at every stage.
        lines: the grid at every stage.
        weights: of the affine layer that leads to the next stage; the identity for a bend.
        biases: of that layer; zero for a bend.
        is_affine: whether the step to the next stage is affine; a bend is not.
    """

    names: tuple[str, ...]
    points: Float64[np.ndarray, "l n 2"]
    lines: Float64[np.ndarray, "l m p 2"]
    weights: Float64[np.ndarray, "t 2 2"]
    biases: Float64[np.ndarray, "t 2"]
    is_affine: tuple[bool, ...]


def flow(model: nn.Sequential, x: Float[np.ndarray, "n 2"], lines: Float[np.ndarray, "m p 2"]) -> PlaneFlow:
    """Points and grid lines through the children of `model`, up to the first that has not two outputs.

    Args:
        model: children that are Linear layers or elementwise.
        x: the samples.
        lines: a grid, as `unbend.lab.draw.grid` gives it.

    Raises:
        ShapeError: not even the first child keeps to the plane.
    """
    names, weights, biases, affine = ["input"], [], [], []
    dtype = next(model.parameters()).dtype
    stages = [torch.as_tensor(np.concatenate([x, lines.reshape(-1, 2)]), dtype=dtype)]
    for name, layer in model.named_children():
        with torch.no_grad():
            after = layer(stages[-1])
        if after.shape != stages[-1].shape:
            break
        weight, bias = _affine(layer)
        stages.append(after)
        is_linear = isinstance(layer, nn.Linear)
        names.append(f"{name} {'affine' if is_linear else type(layer).__name__}")
        affine.append(is_linear)
        weights.append(weight)
        biases.append(bias)
    if not weights:
        raise ShapeError("model: expected a first layer from two inputs to two units, got another shape.")
    whole = torch.stack(stages).double().numpy()
    return PlaneFlow(
        names=tuple(names),
        points=whole[:, : len(x)].copy(),
        lines=whole[:, len(x) :].reshape(-1, *lines.shape).copy(),
        weights=np.stack(weights),
        biases=np.stack(biases),
        is_affine=tuple(affine),
    )


def _affine(layer: nn.Module) -> tuple[Float64[np.ndarray, "2 2"], Float64[np.ndarray, "2"]]:
    """Weight and bias of a step; the identity and zero for a bend."""
    if not isinstance(layer, nn.Linear):
        return np.eye(2), np.zeros(2)
    bias = np.zeros(2) if layer.bias is None else layer.bias.detach().double().numpy()
    return layer.weight.detach().double().numpy(), bias


def n_flow_frames(result: PlaneFlow) -> int:
    """How many frames the film of a flow has: a rest at the input, then a move and a rest for every layer."""
    return HOLD + (len(result.names) - 1) * (STEPS + HOLD)


def flow_frame(
    axes: Axes, result: PlaneFlow, y: Shaped[np.ndarray, "n"], i: int, *, class_names: tuple[str, ...] | None = None
) -> None:
    """Frame `i` of the flow: the points, the grid, and what is being done to them.

    An affine step turns, then mirrors or stretches, then shifts; none of it passes through a collapse unless the
    layer itself collapses. A bend moves every point straight to its place.

    Args:
        axes: where to draw.
        result: the flow.
        y: classes of the points.
        i: the frame, from 0 to `n_flow_frames(result) - 1`.
        class_names: for a legend; none when left out.
    """
    step, share = _when(i, len(result.names) - 1)
    points, lines = (_between(result, stages, step, share) for stages in (result.points, result.lines))
    warped_grid(axes, lines)
    scatter(axes, points, y, names=class_names)
    low, high = _window(result, step, share)
    axes.set(xlim=(low[0], high[0]), ylim=(low[1], high[1]), xlabel="unit 1", ylabel="unit 2")
    axes.set_aspect("equal", adjustable="box")
    axes.set_title(result.names[step + (share > 0)], loc="left")
    if class_names is not None:
        legend(axes)


def _when(i: int, n_steps: int) -> tuple[int, float]:
    """Which step is under way and how far it is, eased at both ends; a rest is a step at its end."""
    step, at = divmod(max(0, i - HOLD), STEPS + HOLD)
    if i < HOLD:
        return 0, 0.0
    if step >= n_steps:
        return n_steps - 1, 1.0
    share = min(1.0, (at + 1) / STEPS)
    return step, 0.5 - 0.5 * math.cos(math.pi * share)


def _between(
    result: PlaneFlow, stages: Float64[np.ndarray, "l *shape 2"], step: int, share: float
) -> Float64[np.ndarray, "*shape 2"]:
    if not result.is_affine[step]:
        return (1 - share) * stages[step] + share * stages[step + 1]
    weight = _partial(result.weights[step], share)
    return stages[step] @ weight.T + share * result.biases[step]


def _partial(weight: Float64[np.ndarray, "2 2"], share: float) -> Float64[np.ndarray, "2 2"]:
    """A part of the way from the identity to a matrix: turned, mirrored and stretched by that share.

    With W = P R, R a turn (after a mirroring where the determinant is negative) and P a stretch along its axes.
    """
    left, sizes, right = np.linalg.svd(weight)
    stretch = left @ np.diag((1 - share) + share * sizes) @ left.T
    turn = left @ right
    mirror = np.eye(2)
    if np.linalg.det(turn) < 0:
        turn = turn @ np.diag([1.0, -1.0])
        mirror = np.diag([1.0, math.cos(math.pi * share)])
    angle = share * math.atan2(turn[1, 0], turn[0, 0])
    turned = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    return stretch @ turned @ mirror


def _window(result: PlaneFlow, step: int, share: float) -> tuple[Float64[np.ndarray, "2"], Float64[np.ndarray, "2"]]:
    """A square window that glides from around one stage to around the next, and holds what is in between."""
    ends = [result.points[step], result.points[step + 1]]
    middles = [(points.max(axis=0) + points.min(axis=0)) / 2 for points in ends]
    reaches = [0.58 * max(float(np.ptp(points, axis=0).max()), 1e-3) for points in ends]
    middle = (1 - share) * middles[0] + share * middles[1]
    now = _between(result, result.points, step, share)
    reach = max((1 - share) * reaches[0] + share * reaches[1], 1.05 * float(np.abs(now - middle).max()))
    return middle - reach, middle + reach
