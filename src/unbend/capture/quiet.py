"""Look without touching: everything a forward pass could change is put back, whatever happens."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import torch
from torch import nn

from unbend.errors import ModelError


def bare(model: object) -> nn.Module:
    """The module inside `torch.compile`, DataParallel and DistributedDataParallel wrappers.

    Raises:
        ModelError: not a module, or one that refuses Python hooks (TorchScript).
    """
    if not isinstance(model, nn.Module):
        raise ModelError(
            f"model: expected a torch.nn.Module, got {type(model).__name__}. Pass the module itself, not its class "
            "or its state dict."
        )
    if isinstance(model, torch.jit.ScriptModule):
        raise ModelError(
            "model: TorchScript modules do not run Python hooks, so their layers cannot be seen. Load the original "
            "nn.Module, or export it with torch.export."
        )
    inner = getattr(model, "_orig_mod", None)
    if inner is None and isinstance(model, (nn.DataParallel, nn.parallel.DistributedDataParallel)):
        inner = model.module
    return model if inner is None else bare(inner)


@contextmanager
def quiet(model: nn.Module, *, training: bool = False, grad: bool = False) -> Iterator[None]:
    """Run `model` in evaluation mode without gradients, and leave no trace.

    Put back on exit: the training flag of every module, the gradient mode, the random generators of every
    device the model is on, and torch's fast path for transformer encoders (which would skip hooks).

    Args:
        training: whether modules run in training mode.
        grad: whether gradients are recorded; in-place activations then write to new tensors, so that every
            tapped tensor keeps its place in the graph.
    """
    flags = [(module, module.training) for module in model.modules()]
    devices = sorted({p.device.index or 0 for p in model.parameters() if p.device.type == "cuda"})
    fast = torch.backends.mha.get_fastpath_enabled()
    with ExitStack() as stack:
        stack.enter_context(torch.random.fork_rng(devices))
        stack.enter_context(torch.set_grad_enabled(grad))
        stack.callback(lambda: [setattr(module, "training", flag) for module, flag in flags])
        stack.callback(torch.backends.mha.set_fastpath_enabled, fast)
        torch.backends.mha.set_fastpath_enabled(False)
        model.train(training)
        for module in model.modules():
            if grad and getattr(module, "inplace", False):
                module.inplace = False  # type: ignore[assignment]
                stack.callback(setattr, module, "inplace", True)
        yield
