"""Running statistics of batch norms, taken from a pass over the data: those of fresh weights are not 0 and 1."""

from collections.abc import Iterable
from contextlib import ExitStack
from typing import Any

from torch import Tensor, nn

from unbend.capture.outputs import call
from unbend.capture.quiet import quiet
from unbend.errors import ModelError


def calibrate(model: nn.Module, batches: Iterable[Any]) -> None:
    """Give the batch norms of a model the statistics of some data, in place, by one pass over it.

    They average the statistics of the batches, all with the same weight; everything else runs as in evaluation. A
    batch of a single row has no spread and is left out. Modes and random states are left as they are.

    Args:
        model: a module, such as the `twin` of another.
        batches: inputs, as `call` takes them; read only if a module keeps running statistics.

    Raises:
        ModelError: the model raised.

    Cost:
        One forward pass over the batches; none if no module keeps running statistics.
    """
    norms = [module for module in model.modules() if isinstance(getattr(module, "running_mean", None), Tensor)]
    if not norms:
        return
    with ExitStack() as stack:
        stack.enter_context(quiet(model, keeps_state=False))
        for norm in norms:
            norm.training = True
            if isinstance(norm, nn.modules.batchnorm._NormBase):  # noqa: SLF001  others keep their own momentum
                stack.callback(setattr, norm, "momentum", norm.momentum)
                norm.momentum = None  # the plain average
                norm.reset_running_stats()
        for inputs in batches:
            _run(model, inputs)


def _run(model: nn.Module, inputs: Any) -> None:
    try:
        call(model, inputs)
    except ModelError as error:
        if "more than 1 value per channel" not in str(error):
            raise
