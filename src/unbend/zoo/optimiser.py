"""Adam and SGD by torch's own fused kernels, without `torch.optim.Optimizer`.

In: parameters. Out: a function that makes one step. The class imports torch's compiler at its first step: three seconds
that a small net does not train in all. The steps are those of the class to the last bit; a test compares them.
"""

from collections.abc import Callable, Sequence
from typing import TypeAlias

import torch
from torch import Tensor
from torch.optim.adam import adam
from torch.optim.sgd import sgd

Step: TypeAlias = Callable[[float], None]
"""Makes one step at a rate, from the gradients that stand at the parameters, and lets them go."""
_BETAS = 0.9, 0.999
_EPS = 1e-8


def adam_steps(parameters: Sequence[Tensor], *, weight_decay: float) -> Step:
    """Steps of Adam (Kingma & Ba 2015), with torch's defaults."""
    first, second = ([torch.zeros_like(p) for p in parameters] for _ in range(2))
    counts = [torch.zeros((), dtype=torch.float32, device=p.device) for p in parameters]

    @torch.no_grad()
    def step(rate: float) -> None:
        moved = _moving(parameters)
        held, means, squares, made = ([column[i] for i in moved] for column in (parameters, first, second, counts))
        adam(held, _gradients(held), means, squares, [], made, fused=True, amsgrad=False, beta1=_BETAS[0],
             beta2=_BETAS[1], lr=rate, weight_decay=weight_decay, eps=_EPS, maximize=False)  # fmt: skip
        _release(held)

    return step


def sgd_steps(parameters: Sequence[Tensor], *, momentum: float, weight_decay: float) -> Step:
    """Steps of stochastic gradient descent with momentum."""
    buffers: list[Tensor | None] = [None] * len(parameters)

    @torch.no_grad()
    def step(rate: float) -> None:
        moved = _moving(parameters)
        held, kept = [parameters[i] for i in moved], [buffers[i] for i in moved]
        sgd(held, _gradients(held), kept, fused=True, weight_decay=weight_decay, momentum=momentum, lr=rate,
            dampening=0.0, nesterov=False, maximize=False)  # fmt: skip
        for i, buffer in zip(moved, kept, strict=True):
            buffers[i] = buffer
        _release(held)

    return step


def _moving(parameters: Sequence[Tensor]) -> list[int]:
    """Which parameters have a gradient: the others stay, and their counts too."""
    return [i for i, p in enumerate(parameters) if p.grad is not None]


def _gradients(parameters: Sequence[Tensor]) -> list[Tensor]:
    return [p.grad for p in parameters if p.grad is not None]


def _release(parameters: Sequence[Tensor]) -> None:
    for p in parameters:
        p.grad = None
