"""Runs a model once and hands every torch function and every module's end to a record.

The record sees one thread only, the caller's: another thread that uses the same model meanwhile is not heard. What
happens in other threads, in TorchScript and in other libraries is not seen, and told as such.
"""

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from unbend.capture.flow.operations import name_of
from unbend.capture.flow.record import Record
from unbend.capture.quiet import every_module_called


@contextmanager
def watching(model: nn.Module, record: Record) -> Iterator[None]:
    """Hand everything to the record while the block runs; hooks are removed whatever happens.

    Cost:
        Some twenty to fifty microseconds per torch function.
    """
    hooks = _Hooks(record, threading.get_ident())
    with ExitStack() as stack:
        for path, module in model.named_modules():
            if not isinstance(module, torch.jit.ScriptModule):
                begin = module.register_forward_pre_hook(partial(hooks.begin, path))
                end = module.register_forward_hook(partial(hooks.end, path), with_kwargs=True, always_call=True)
                stack.callback(begin.remove)
                stack.callback(end.remove)
        stack.enter_context(every_module_called())
        stack.enter_context(_Functions(record))
        yield


class _Hooks:
    """Tells the record which module is running."""

    def __init__(self, record: Record, thread: int) -> None:
        self._record, self._thread = record, thread

    def __reduce__(self) -> tuple[Any, ...]:
        """A copy of a model made while it is watched gets hooks that do nothing."""
        return _Hooks, (None, 0)

    def begin(self, path: str, _module: nn.Module, _args: Any) -> None:
        if threading.get_ident() == self._thread:
            self._record.begin(path)

    def end(self, path: str, _module: nn.Module, args: Any, kwargs: Any, output: Any) -> None:
        if threading.get_ident() == self._thread:
            with torch._C.DisableTorchFunction(), _never_raising():
                self._record.end(path, (args, kwargs), output)


class _Functions(TorchFunctionMode):
    """Tells the record which torch functions run."""

    def __init__(self, record: Record) -> None:
        super().__init__()
        self._record = record

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if not name_of(func):
            return func(*args, **kwargs)
        step = None
        with _never_raising():
            step = self._record.before(func, args, kwargs)
        result = func(*args, **kwargs)
        if step is not None:
            with _never_raising():
                self._record.after(step, result)
        return result


@contextmanager
def _never_raising() -> Iterator[None]:
    """Taking notes must not change the run: a tensor of a form nobody foresaw gets no note, and is told as opaque."""
    with suppress(Exception):  # whatever a user's tensor class raises when it is asked for its form
        yield
