"""Every test session: types are checked at little cost, and kernels compiled by one process at a time.

In: what pytest starts. Out: the same checks of types as jaxtyping's, compiled code that workers share, a collector of
garbage that passes over what collection made, and files that are not torn between workers.
"""

import fcntl
import gc
import inspect
import os
import random
import sys
import tempfile
import threading
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, partial, wraps
from hashlib import md5
from itertools import chain
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any, ForwardRef, get_args, get_type_hints

import jaxtyping
import numpy as np
import pytest
from beartype import BeartypeConf, beartype
from beartype.door import die_if_unbearable
from hypothesis import settings
from numba.core.ccallback import CFunc
from numba.core.dispatcher import Dispatcher
from xdist.scheduler import LoadScopeScheduling

_jaxtyped = jaxtyping.jaxtyped
_SCOPE = _jaxtyped("context")
"""Names of axes mean one size each within it; it may be entered again inside."""
_CONF = BeartypeConf(violation_type=jaxtyping.TypeCheckError)


def _hints(function: FunctionType) -> dict[str, Any]:
    """What its annotations say; of one that names what is not there, nothing."""
    try:
        return get_type_hints(function, include_extras=True)
    except Exception:  # noqa: BLE001  whatever a hint may raise
        return {
            name: Any if isinstance(hint, str) else hint for name, hint in inspect.get_annotations(function).items()
        }


@dataclass(slots=True)
class _Checks:
    """What is checked of the calls of a function, found when it is called for the first time.

    Attributes:
        typed: the function with checks; None where nothing is to check, and for one that is defined in a function: it
            is another with each call of that, and is checked by its hints.
        hints: what is said of arguments and answer; empty where there is nothing to check.
        has_axes: whether sizes of axes are said.
        code: kept, so that no other has its identity.
        n_calls: calls in this test.
    """

    typed: Callable[..., Any] | None
    hints: dict[str, Any]
    has_axes: bool
    code: CodeType
    n_calls: int = 0

    @classmethod
    def of(cls, function: FunctionType) -> "_Checks":
        """Those of a function."""
        hints, typed = _hints(function), None
        if not (function.__closure__ and "<locals>" in function.__qualname__):
            bare = FunctionType(
                function.__code__, function.__globals__, function.__name__, function.__defaults__, function.__closure__
            )
            bare.__kwdefaults__, bare.__qualname__, bare.__module__ = (
                function.__kwdefaults__, function.__qualname__, function.__module__
            )  # fmt: skip
            bare.__annotations__ = hints
            typed = beartype(bare, conf=_CONF)
            hints, typed = ({}, None) if typed is bare else (hints, typed)
        return cls(typed, hints, any(map(_says_axes, hints.values())), function.__code__)

    def call(self, function: FunctionType, /, *args: Any, **kwargs: Any) -> Any:
        """Call a function of this code, arguments and answer checked."""
        __tracebackhide__ = True
        names = self.code.co_varnames[: self.code.co_argcount]
        for name, value in chain(zip(names, args, strict=False), kwargs.items()):
            self._check(name, value)
        answer = function(*args, **kwargs)
        self._check("return", answer)
        return answer

    def _check(self, name: str, value: Any) -> None:
        if name in self.hints:
            die_if_unbearable(value, self.hints[name], conf=_CONF)


def _says_axes(hint: Any) -> bool:
    """Whether a type of arrays is part of it; what is not looked into may have one."""
    if isinstance(hint, str | ForwardRef | list | tuple):
        return not isinstance(hint, list | tuple) or any(map(_says_axes, hint))
    return isinstance(hint, type(jaxtyping.AbstractArray)) or any(map(_says_axes, get_args(hint)))


_known: dict[int, _Checks] = {}
"""By the identity of the code."""
_ALL, _THEN = 32, 16
"""Calls of a function in a test up to which each is checked, and of the later ones every so many: the inner function of
a loop says nothing new after that, and checking all of its calls was a quarter of the time of the tests."""


def _checked(one: Any = None, *, typechecker: Any = None) -> Any:
    """`jaxtyping.jaxtyped` at a small part of its cost: most of the time of the tests went there.

    That one binds the arguments of every call, checks them twice, and compiles two functions for each one that is
    imported or defined. This one checks a call once, arguments and answer in one scope of axes, which is entered where
    a type says axes, and compiles that check when a function is called for the first time.
    """
    if typechecker is None:
        return _jaxtyped(one)
    if one is None:
        return partial(_checked, typechecker=typechecker)
    if inspect.isclass(one):
        if "__dataclass_fields__" in vars(one) and "__init__" in vars(one) and not hasattr(one.__init__, "is_checked"):
            one.__init__ = _checked(one.__init__, typechecker=typechecker)
        return one
    if not isinstance(one, FunctionType) or inspect.isgeneratorfunction(one) or inspect.iscoroutinefunction(one):
        return _jaxtyped(one, typechecker=typechecker)
    return _with_checks(one)


def _with_checks(one: FunctionType) -> Callable[..., Any]:
    """The function, checked from its first call on."""
    code = one.__code__

    @wraps(one)
    def call(*args: Any, **kwargs: Any) -> Any:
        __tracebackhide__ = True
        if jaxtyping.config.jaxtyping_disable:
            return one(*args, **kwargs)
        known = _known.get(id(code)) or _known.setdefault(id(code), _Checks.of(one))
        known.n_calls += 1
        if known.n_calls > _ALL and known.n_calls % _THEN:
            return one(*args, **kwargs)
        typed = known.typed
        if typed is None:
            if not known.hints:
                return one(*args, **kwargs)
            typed = partial(known.call, one)
        if not known.has_axes:
            return typed(*args, **kwargs)
        with _SCOPE:
            return typed(*args, **kwargs)

    call.is_checked = True
    return call


jaxtyping.jaxtyped = _checked
settings.register_profile("untimed", deadline=None)  # no test asserts a time: on a busy machine one would fail by it
settings.load_profile("untimed")

_HERE = Path(__file__).parent
_PLACE = md5(f"{_HERE} {sys.prefix}".encode(), usedforsecurity=False).hexdigest()[:12]
_LOCK = Path(tempfile.gettempdir()) / f"unbend-kernels-{os.getuid()}-{_PLACE}.lock"
"""Of those who share compiled code: another checkout or another environment has its own, and is not waited for."""
_one_thread = threading.RLock()
_depth = 0


@contextmanager
def _alone():
    """No other process compiles meanwhile. A kernel that compiles the kernels it calls holds the lock already."""
    global _depth  # noqa: PLW0603 - numba gives no object of ours to keep it in
    with _one_thread, _LOCK.open("w") as file:
        if _depth == 0:
            fcntl.flock(file, fcntl.LOCK_EX)
        _depth += 1
        try:
            yield
        finally:
            _depth -= 1


def _in_turn(compile_):
    """Workers wait for one another and find on disk what the first has compiled, rather than compile it too."""

    def compiled(self, *args, **settings):
        with _alone():
            return compile_(self, *args, **settings)

    return compiled


def pytest_configure():
    for kind in (Dispatcher, CFunc):
        kind.compile = _in_turn(kind.compile)


@pytest.hookimpl(tryfirst=True)  # before fixtures
def pytest_runtest_setup():
    """What a test draws from the global generators is the same whenever and wherever it runs."""
    _lighten_trees()
    for checks in _known.values():
        checks.n_calls = 0
    random.seed(0)
    np.random.seed(0)  # noqa: NPY002 - it is the global one that tests and libraries may draw from
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(0)


def _lighten_trees():
    """Spare each of the hundreds of trees of a small study what scikit-learn does for the forest too.

    It reads the signature of a tree's class four times, asks what kind of labels there are, which the forest has
    asked, and sets up warnings and settings, as they are, for another thread than this one. It was most of the time of
    a forest. Trees are as they were. Nothing is imported for it.
    """
    trees, jobs = sys.modules.get("sklearn.tree._classes"), sys.modules.get("sklearn.utils.parallel")
    if trees is None or jobs is None or hasattr(trees, "is_light"):
        return
    trees.is_light = True
    trees.BaseEstimator._get_param_names = classmethod(cache(trees.BaseEstimator._get_param_names.__func__))
    trees.check_classification_targets = lambda _labels: None
    jobs._FuncWrapper.__call__ = lambda self, *args, **kwargs: self.function(*args, **kwargs)


def pytest_collection():
    """Collection makes millions of objects and drops none of them: a search for garbage finds nothing."""
    gc.disable()


def pytest_collection_finish():
    gc.freeze()
    gc.enable()


_PROCESSES = (
    "tests/study/watch/test_ranks.py",
    "tests/study/test_distributed.py",
    "tests/study/watch/test_compiled.py",
)
"""Files whose processes wait for each other: one worker runs them, and meanwhile the others of these."""
_LONG = (
    "tests/report/test_every_page.py", "tests/report/test_browser.py", "tests/learn/test_lessons.py",
    "tests/record/test_merge.py", "tests/study/test_diagnosis_cases.py",
    "tests/capture/test_twin_anchor.py", "tests/cli/test_commands.py", *_PROCESSES, "tests/study/history",
    "tests/lab", "tests/study", "tests/examples", "tests/test_fashion.py", "tests/load/test_python.py",
    "tests/explain", "tests/learn", "tests/record", "tests/report", "tests/cli", "tests/numerics",
)  # fmt: skip
"""Where tests take longest: they begin first, so that workers end together."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: (_place(item), item.get_closest_marker("last") is not None))


def _place(item: pytest.Item) -> int:
    """The first of the long places that it lies in; after all of them without one."""
    path = item.path.relative_to(_HERE)
    if str(path) in _PROCESSES and item.get_closest_marker("last"):
        path = Path(_PROCESSES[-1])
    return next((i for i, place in enumerate(_LONG) if path.is_relative_to(place)), len(_LONG))


class _ByFile(LoadScopeScheduling):
    """The tests of one file run in one worker, which makes once what they share; in the lab, those of one claim.

    Files whose processes wait for each other run in one as well.

    xdist's own groups are written into the names of tests, where pytest 9.2 no longer looks for them.
    """

    def _split_scope(self, nodeid: str) -> str:
        file, _, test = nodeid.partition("::")
        claim = f"tests/lab/test_{test.partition('[')[2].rstrip(']')}.py"
        if file in _PROCESSES:
            return _PROCESSES[0]
        return claim if file.startswith("tests/lab/") and (_HERE / claim).exists() else file


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> _ByFile:
    return _ByFile(config, log)
