"""A fresh value for a parameter that no layer class and no rule of its author's speaks for.

A gain stays a gain, a shift becomes 0, and anything else keeps its size and loses its arrangement. What is equal
throughout was not drawn, so it stays; only a constant by the name of a weight is drawn.
"""

import math
import re

import torch
from torch import Tensor

_SHIFTS = frozenset({"bias", "b", "shift", "offset"})
_GAINS = frozenset({"gamma", "gain", "scale", "g"})
_WEIGHTS = frozenset({"weight", "w", "kernel"})
_USUAL = 2
"""By what factor the spread of a matrix may miss the usual draw, and still be taken for one."""


def draw(name: str, parameter: Tensor) -> None:
    """Write a fresh value to a parameter, from its name, its shape and its values alone.

    Args:
        name: of the attribute, such as `gamma` or `w_1`.
        parameter: floating-point or complex; any other is left alone.
    """
    if not (parameter.is_floating_point() or parameter.is_complex()) or not parameter.numel():
        return
    words = set(re.findall("[a-z]+", name.lower()))
    if sum(size > 1 for size in parameter.shape) <= 1:
        _draw_vector(words, parameter)
    else:
        _draw_matrix(words, parameter)


def _draw_vector(words: set[str], vector: Tensor) -> None:
    if words & _SHIFTS:
        vector.zero_()
    elif _is_equal(vector):
        if "weight" in words and bool(vector.any()):
            vector.fill_(1.0)
    elif words & (_GAINS | _WEIGHTS) and _is_clear_of_zero(vector):
        vector.fill_(_start(vector))
    else:
        _shuffle(vector)


def _draw_matrix(words: set[str], matrix: Tensor) -> None:
    usual = 1 / math.sqrt(matrix[0].numel())
    is_weight = bool(words & _WEIGHTS) and not matrix.is_complex()
    if _is_equal(matrix):
        if is_weight and bool(matrix.any()):
            matrix.uniform_(-usual, usual)
    elif words & _GAINS and _is_clear_of_zero(matrix):
        matrix.fill_(_start(matrix))
    elif not matrix.is_complex() and usual / math.sqrt(3) / _USUAL <= spread(matrix) <= usual / math.sqrt(3) * _USUAL:
        matrix.uniform_(-usual, usual)
    else:
        _shuffle(matrix)


def spread(values: Tensor) -> float:
    """Standard deviation of all entries; 0 for none."""
    if not values.numel():
        return 0.0
    wide = values.detach().to(torch.complex128 if values.is_complex() else torch.float64)
    return float(wide.std(correction=0))


def _is_equal(values: Tensor) -> bool:
    return bool((values == values.flatten()[0]).all())


def _is_clear_of_zero(values: Tensor) -> bool:
    return not values.is_complex() and float(values.double().mean()) > spread(values) / 2


def _start(gain: Tensor) -> float:
    """Where a gain began: 1, or 1e-4 for one that scales a whole branch down, the power of ten nearest its median."""
    median = float(gain.double().flatten().median())
    return 10.0 ** round(math.log10(median)) if median > 0 else 1.0


def _shuffle(values: Tensor) -> None:
    order = torch.randperm(values.numel()).to(values.device)
    values.copy_(values.flatten()[order].view_as(values))
