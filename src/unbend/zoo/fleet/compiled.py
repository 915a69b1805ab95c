"""Many networks by compiled loops on the CPU, every one free to have its own widths, activation and rate.

In: a `Job`. Out: an engine that advances by steps. This module must not know which steps are kept.
"""

from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import numpy as np
import torch
from jaxtyping import Float32, Float64

from unbend.errors import UnsupportedError
from unbend.zoo.fleet.values import Job, activation_names, initial_weights, offsets_of

# Samples per pass through a net: its activations then stay in the second-level cache.
BLOCK = 512


def refusal(names: tuple[str, ...], device: torch.device, dtype: torch.dtype) -> str | None:
    """Why these nets cannot be compiled, or None."""
    from unbend.zoo.fleet.kernel import CODES  # noqa: PLC0415  numba takes half a second to load

    if device.type != "cpu" or dtype != torch.float32:
        return f"it runs on the CPU in float32, and x is {dtype} on {device}"
    unknown = sorted(set(names) - set(CODES))
    return f"it does not have {', '.join(unknown)}; it has {', '.join(CODES)}" if unknown else None


class Compiled:
    """The compiled engine."""

    def __init__(self, job: Job) -> None:
        from unbend.zoo.fleet.kernel import CODES, LOSSES, advance  # noqa: PLC0415  numba takes half a second to load

        names = activation_names(job.nets)
        if why := refusal(names, job.x.device, job.x.dtype):
            message = f"engine: the compiled engine cannot train these nets: {why}. Use engine='batched'."
            raise UnsupportedError(message)
        depths = np.array([len(net.widths) - 1 for net in job.nets], dtype=np.int64)
        widths = np.zeros((len(job.nets), depths.max() + 1), dtype=np.int64)
        for row, net in zip(widths, job.nets, strict=True):
            row[: len(net.widths)] = net.widths
        codes = np.array([CODES[name] for name in names], dtype=np.int64)
        self._advance = advance
        self._shapes = (widths, depths, codes, offsets_of(job.nets))
        self._rates = job.rates
        self._weights = initial_weights(job.nets).numpy()
        self._moments = np.zeros((2, len(self._weights)), dtype=np.float32)
        x, y = job.x.T.contiguous().numpy(), job.targets.contiguous().numpy()
        self._data = (x, y)
        recipe = job.recipe
        is_adam = recipe.optimizer == "adam"
        block = min(BLOCK, len(job.x))
        self._how = (LOSSES[job.loss], is_adam, float(recipe.momentum), float(recipe.weight_decay), block)
        self._spans = _shares(np.diff(self._shapes[3]), recipe.n_threads)
        self._done = 0

    def advance(self, n_steps: int, rate_factor: float) -> None:
        """Take `n_steps` steps with every learning rate times `rate_factor`."""
        self._run(n_steps, (self._rates * rate_factor).astype(np.float32))
        self._done += n_steps

    def weights(self) -> Float32[np.ndarray, "p"]:
        """All weights, net after net."""
        return self._weights.copy()

    def losses(self) -> Float64[np.ndarray, "e"]:
        """The loss of every net as it is now."""
        return self._run(0, self._rates.astype(np.float32))

    def _run(self, n_steps: int, rates: Float32[np.ndarray, "e"]) -> Float64[np.ndarray, "e"]:
        losses = np.empty(len(rates))

        def share(span: tuple[int, int]) -> None:
            part = (*span, self._done, n_steps)
            self._advance(self._shapes, rates, self._weights, self._moments, self._data, self._how, part, losses)

        if len(self._spans) == 1:
            share(self._spans[0])
        else:
            with ThreadPoolExecutor(len(self._spans)) as pool:
                list(pool.map(share, self._spans))
        return losses


def _shares(sizes: np.ndarray, n: int) -> list[tuple[int, int]]:
    """At most `n` runs of nets with about the same number of weights in each."""
    ends = np.searchsorted(sizes.cumsum(), np.linspace(0, sizes.sum(), n + 1)[1:]) + 1
    bounds = [0, *np.unique(np.minimum(ends, len(sizes))).tolist()]
    return list(pairwise(bounds))
