"""The module that a training really calls, where only the whole it belongs to is known."""

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from typing import Any

import torch
from torch import nn


def on_first_call(
    whole: nn.Module, begin: Callable[[nn.Module, tuple[Any, ...], Mapping[str, Any]], None]
) -> ExitStack:
    """Call `begin` once, with the outermost of `whole` and its children that is called in training, before it runs.

    Args:
        whole: a module whose own forward may never be called.
        begin: takes the module and the arguments of that call.

    Returns:
        What takes the hooks off.
    """
    stack = ExitStack()

    def hear(module: nn.Module, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
        if torch.is_grad_enabled() and module.training:
            stack.close()
            begin(module, args, kwargs)

    for module in (whole, *whole.children()):
        if any(True for _ in module.parameters()):
            stack.callback(module.register_forward_pre_hook(hear, with_kwargs=True).remove)
    return stack
