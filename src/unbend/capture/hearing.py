"""Every torch function and every call of a module, as they run: what planning, taps, replay and trails listen to.

In: a model, listeners. Out: nothing; they are told. One thread is heard, the caller's. What happens in TorchScript and
in other libraries is not.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from threading import get_ident
from typing import Any, TypeAlias

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from unbend.capture.quiet import every_module_called

Run: TypeAlias = Callable[[Callable[..., Any], tuple[Any, ...], Mapping[str, Any]], Any]
"""Called with a torch function and its arguments in its place; gives what it puts out."""
Begin: TypeAlias = Callable[[str], None]
"""Told the path of a module before it runs."""
End: TypeAlias = Callable[[str, tuple[Any, Any], Any], None]
"""Told the path of a module after its run, whatever happened in it, its arguments (args, kwargs) and its output."""


class _Functions(TorchFunctionMode):
    """Lets a listener run every torch function."""

    def __init__(self, run: Run) -> None:
        super().__init__()
        self._run = run

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return self._run(func, args, kwargs or {})


@contextmanager
def hear_functions(run: Run) -> Iterator[None]:
    """Within the block `run` runs every torch function; those that it calls itself are not heard.

    Cost:
        One Python call per torch function.
    """
    with _Functions(run):
        yield


@contextmanager
def hear_calls(model: nn.Module, begin: Begin, end: End, run: Run | None = None) -> Iterator[None]:
    """Within the block listeners are told of every call of a module, and run every torch function.

    Args:
        model: compiled parts of it run eagerly, transformer encoders without their fast path.
        begin: told before a module runs.
        end: told after it.
        run: runs the functions; None to leave them alone.
    """
    hooks = _Hooks(begin, end, get_ident())
    with ExitStack() as stack:
        for path, module in model.named_modules():
            if not isinstance(module, torch.jit.ScriptModule):
                before = module.register_forward_pre_hook(partial(hooks.begin, path))
                after = module.register_forward_hook(partial(hooks.end, path), with_kwargs=True, always_call=True)
                stack.callback(before.remove)
                stack.callback(after.remove)
        stack.enter_context(every_module_called())
        if run is not None:
            stack.enter_context(hear_functions(run))
        yield


class _Hooks:
    """Tells listeners which module is running; what they do with its tensors is no function of the model's."""

    def __init__(self, begin: Begin, end: End, thread: int) -> None:
        self._begin, self._end, self._thread = begin, end, thread

    def __reduce__(self) -> tuple[Any, ...]:
        """A copy of a model made while it is listened to gets hooks that do nothing."""
        return _Hooks, (_nothing, _nothing, 0)

    def begin(self, path: str, _module: nn.Module, _args: Any) -> None:
        if get_ident() == self._thread:
            self._begin(path)

    def end(self, path: str, _module: nn.Module, args: Any, kwargs: Any, output: Any) -> None:
        if get_ident() == self._thread:
            with torch._C.DisableTorchFunction():  # noqa: SLF001  torch has no public name for it
                self._end(path, (args, kwargs), output)


def _nothing(*_given: object) -> None:
    """Do nothing."""
