"""The module to look at, and a state in which looking at it changes nothing."""

import random
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from threading import Lock, RLock, get_ident
from typing import Any
from weakref import WeakValueDictionary

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from unbend.capture.outputs import version_of
from unbend.errors import ModelError

_LOCKS: WeakValueDictionary[int, Any] = WeakValueDictionary()
"""The lock of every model that is being looked at, by its id, for as long as somebody holds or awaits it."""
_LOCKING = Lock()
_MOST_STATE = 1 << 22
"""Numbers in buffers and other tensors of a model up to which they are kept, in case forward writes into them."""
_CONTAINERS = (list, dict, set, deque)


def bare(model: object) -> nn.Module:
    """The module inside `torch.compile`, DataParallel and DistributedDataParallel wrappers.

    Raises:
        ModelError: not a module, or one that cannot be looked into: TorchScript, quantized, without values
            (meta tensors, lazy layers not yet initialised).
    """
    if not isinstance(model, nn.Module):
        given = f"the class {model.__name__}" if isinstance(model, type) else type(model).__name__
        raise ModelError(
            f"model: expected a torch.nn.Module, got {given}. Pass the module itself, not its class or its state dict."
        )
    if isinstance(model, torch.jit.ScriptModule):
        raise ModelError(
            "model: TorchScript modules do not run Python hooks, so their layers cannot be seen. Load the original "
            "nn.Module, or export it with torch.export."
        )
    inner = getattr(model, "_orig_mod", None)
    if inner is None and isinstance(model, (nn.DataParallel, nn.parallel.DistributedDataParallel)):
        inner = model.module
    if inner is not None:
        return bare(inner)
    _refuse_empty(model)
    return model


def _refuse_empty(model: nn.Module) -> None:
    """Refuse weights that are not there, and weights that are no floating-point numbers."""
    for name, tensor in (*model.named_parameters(), *model.named_buffers()):
        if is_lazy(tensor):
            raise ModelError(f"model: {name} is not initialised yet (a lazy layer). Run the model once on a batch.")
        if tensor.is_meta:
            raise ModelError(f"model: {name} is on the meta device and holds no values. Load the weights first.")
        if type(tensor).__torch_dispatch__ is not Tensor.__torch_dispatch__ or tensor.is_quantized:
            kind, library = type(tensor), type(tensor).__module__.partition(".")[0]
            held = f"a {kind.__name__} of {library}" if kind not in (Tensor, nn.Parameter) else f"{tensor.dtype}"
            raise ModelError(
                f"model: {name} is {held}, whose numbers are packed. Pass the floating-point model it was made from."
            )
    for path, module in model.named_modules():
        home = type(module).__module__
        if ".quantized" in home and home.startswith(("torch.ao.nn", "torch.nn")):
            raise ModelError(
                f"model: {path or 'it'} is quantized ({type(module).__name__}); its layers put out integers or hide "
                "their weights. Pass the floating-point model it was made from."
            )


@contextmanager
def alone(model: nn.Module) -> Iterator[None]:
    """Wait until no other thread looks at this model, and let none begin before the block ends.

    Two that look at once would hear each other's hooks and put back each other's training flags.
    """
    with _LOCKING:
        lock = _LOCKS.setdefault(id(model), RLock())
    with lock:
        yield


def _heard_here(hook: Callable[..., None]) -> Callable[..., None]:
    """The hook, silent in every thread but this one: a server may run the same model meanwhile."""
    thread = get_ident()

    def hear(*called: Any) -> None:
        if get_ident() == thread:
            hook(*called)

    return hear


@contextmanager
def hear_modules(
    modules: Iterable[tuple[str, nn.Module]],
    begin: Callable[..., None],
    end: Callable[..., None],
    *,
    always: bool = False,
) -> Iterator[None]:
    """Within the block `begin(path, module, args)` and `end(path, module, args, output)` are told of modules that run.

    Args:
        modules: by path.
        begin: told before a module runs.
        end: told after it.
        always: whether `end` is told of a module that raised, too.
    """
    with ExitStack() as stack:
        for path, module in modules:
            stack.callback(module.register_forward_pre_hook(_heard_here(partial(begin, path))).remove)
            hook = _heard_here(partial(end, path))
            stack.callback(module.register_forward_hook(hook, always_call=always).remove)
        yield


@contextmanager
def quiet(model: nn.Module, *, training: bool = False, grad: bool = False, keeps_state: bool = True) -> Iterator[None]:
    """Run `model` in evaluation mode without gradients, and leave no trace.

    Put back on exit, whatever happens: the training flag of every module, what forward keeps in it from one batch to
    the next, the gradient and inference modes, and the random generators of torch (on every device the model is on),
    numpy and Python. Flags are set one by one,
    because a module's own `train()` may do more than that, such as merging its weights. Another thread that looks at
    the same model waits.

    Args:
        model: any module.
        training: whether modules run in training mode.
        grad: whether gradients are recorded; in-place activations then write to new tensors, so that every
            tapped tensor keeps its place in the graph.
        keeps_state: whether what forward keeps in the model is put back too.
    """
    with ExitStack() as stack:
        stack.enter_context(alone(model))
        stack.enter_context(kept_random(model))
        if keeps_state:
            stack.enter_context(kept_state(model))
        stack.enter_context(torch.inference_mode(mode=False))
        stack.enter_context(torch.set_grad_enabled(grad))
        for module in model.modules():
            stack.callback(setattr, module, "training", module.training)
            module.training = training
            if grad and getattr(module, "inplace", False):
                stack.callback(setattr, module, "inplace", True)
                module.inplace = False  # type: ignore[assignment]
        yield


@contextmanager
def every_module_called() -> Iterator[None]:
    """Run compiled parts eagerly and transformer encoders without their fast path: both would pass hooks by."""
    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        if "torch._dynamo" in sys.modules:  # else nothing is compiled, and importing it takes seconds
            with torch.compiler.set_stance("force_eager"):
                yield
        else:
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)


@contextmanager
def kept_random(model: nn.Module) -> Iterator[None]:
    """Put the random generators back on exit: torch's on every device the model is on, numpy's and Python's."""
    python, numpy = random.getstate(), np.random.get_state()  # noqa: NPY002  the user's own generator, put back
    with ExitStack() as stack:
        for kind, devices in sorted(accelerators(model).items()):
            stack.enter_context(torch.random.fork_rng(devices, device_type=kind))
        stack.enter_context(torch.random.fork_rng([]))
        stack.callback(np.random.set_state, numpy)
        stack.callback(random.setstate, python)
        yield


@contextmanager
def kept_state(model: nn.Module) -> Iterator[None]:
    """Put back on exit what the modules hold beside parameters: attributes, and buffers that are written to.

    So every pass begins in the state in which the caller left the model, and the caller finds it so. Attributes are
    kept as they are, lists, dicts and sets with what was in them; large buffers, such as masks, are not.

    Cost:
        A copy of the buffers of up to 4 million numbers in all.
    """
    held = [(module, dict(vars(module)), _contents(module)) for module in model.modules()]
    tensors = [
        t for _, own, _ in held for t in (*own.get("_buffers", {}).values(), *own.values()) if isinstance(t, Tensor)
    ]
    is_small = sum(t.numel() for t in tensors) <= _MOST_STATE
    copies = [(t, t.detach().clone(), version_of(t)) for t in tensors] if is_small else []
    try:
        yield
    finally:
        with torch.no_grad():
            for tensor, before, version in copies:
                if version_of(tensor) != version and tensor.shape == before.shape:
                    tensor.copy_(before)
        for module, own, contents in held:
            now = vars(module)
            for name in [name for name in now if name not in own]:
                del now[name]
            now.update(own)
            for container, before in contents:
                _refill(container, before)


def _contents(module: nn.Module) -> list[tuple[Any, Any]]:
    """The lists, dicts and sets of a module, each with a copy of what it holds."""
    own = (value for name, value in vars(module).items() if not name.startswith("_"))
    return [(value, value.copy()) for value in own if type(value) in _CONTAINERS]


def _refill(container: Any, before: Any) -> None:
    """Put back what a container held, where it holds anything else."""
    if type(container) is dict or type(container) is set:
        is_same = container.keys() == before.keys() if type(container) is dict else container == before
        if not is_same or (type(container) is dict and any(container[key] is not before[key] for key in before)):
            container.clear()
            container.update(before)
    elif len(container) != len(before) or any(a is not b for a, b in zip(container, before, strict=True)):
        container.clear()
        container.extend(before)


def accelerators(model: nn.Module) -> dict[str, list[int]]:
    """The devices with a random generator of their own that a model is on, by type."""
    found = {p.device for p in (*model.parameters(), *model.buffers()) if p.device.type in {"cuda", "xpu"}}
    return {kind: sorted(d.index or 0 for d in found if d.type == kind) for kind in {d.type for d in found}}
