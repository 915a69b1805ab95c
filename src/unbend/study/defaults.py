"""Defaults of a process that a caller may have changed: torch's device and numbers, what numpy does on an overflow."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import numpy as np
import torch


@contextmanager
def fresh_defaults() -> Iterator[None]:
    """The defaults of a fresh process inside the block, and the caller's again behind it.

    Tensors that are made without a device are on the CPU and in float32, and numpy goes on at an overflow, an underflow
    and a division by zero, as the arithmetic of a study expects.

    Cost:
        Nothing, except where another default device is set, which torch answers with one Python call per function.
    """
    dtype = torch.get_default_dtype()
    with ExitStack() as stack:
        stack.enter_context(np.errstate(divide="warn", over="warn", under="ignore", invalid="warn"))
        if torch.get_default_device().type != "cpu":
            stack.enter_context(torch.device("cpu"))
        if dtype != torch.float32:
            stack.callback(torch.set_default_dtype, dtype)
            torch.set_default_dtype(torch.float32)
        yield
