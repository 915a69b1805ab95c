"""How numba compiles a function that only compiled code calls: as far as the code that its callers are linked with.

In: nothing. Out: `Linked` and `Inlined`, pipelines for numba's decorators. Must not know which functions they compile.
Importing this raises ImportError if numba no longer has what it needs, for most of that has private names.

numba treats every function as one that Python may call: LLVM optimises it together with all that it calls, and turns it
into machine code, before it is linked into its caller, where the same begins again. Of a function that is called in
compiled code only, both are for nothing: the caller at the door to Python has it all in one module.
"""

from typing import Any, Literal

from numba import _dynfunc  # type: ignore[attr-defined]  # a compiled module
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import CompilerBase, CompileResult, DefaultPassBuilder
from numba.core.compiler_machinery import PassManager, register_pass
from numba.core.typed_passes import NativeLowering

_NEEDED = {
    _dynfunc: ("make_function",),
    CompileResult: ("_find_referenced_environments", "_replace"),
    DefaultPassBuilder: ("define_nopython_pipeline",),
    JITCodeLibrary: ("_optimize_final_module", "_finalize_final_module", "get_pointer_to_function"),
    NativeLowering: ("run_pass",),
}
"""What of numba is called or overridden here, beside what is imported."""
for _home, _names in _NEEDED.items():
    for _name in _names:
        if not hasattr(_home, _name):
            raise ImportError(f"numba: {_home.__name__} has no {_name!r} any more.")


class _Linked(JITCodeLibrary):
    """Code that waits for its callers: linked with what it calls, not optimised, and not at any address."""

    def _optimize_final_module(self) -> None:
        """Nothing: its callers do that, with this code in theirs."""

    def _finalize_final_module(self) -> None:
        self._finalized = True

    def get_pointer_to_function(self, name: str) -> int:  # noqa: ARG002  no function has an address here
        return 0


@register_pass(mutates_CFG=True, analysis_only=False)
class _LowerLinked(NativeLowering):
    """numba's step from types to LLVM, for code that is linked."""

    _name = "unbend_linked_lowering"
    is_inlined = False

    def run_pass(self, state: Any) -> Literal[True]:
        flags, name = state.flags, state.func_id.func_qualname
        state.library = _Linked(state.targetctx.codegen(), name)
        # Set as late as here: functions of numpy are compiled once for all callers of equal flags.
        flags.no_compile = flags.no_cpython_wrapper = True
        flags.forceinline = self.is_inlined
        super().run_pass(state)
        # By this name compiled code finds the function. Nobody can call it: there is nothing at address 0.
        lowered = state.cr
        entry = _dynfunc.make_function(lowered.fndesc.lookup_module(), name, "", 0, lowered.env, (state.library,))
        state.targetctx.insert_user_function(entry, lowered.fndesc, [state.library])
        state.cr = lowered._replace(cfunc=entry)
        return True


@register_pass(mutates_CFG=True, analysis_only=False)
class _LowerInlined(_LowerLinked):
    """The same, for code that LLVM has to inline."""

    _name = "unbend_inlined_lowering"
    is_inlined = True


class Linked(CompilerBase):
    """The pipeline of a function that is only linked."""

    step: type = _LowerLinked

    def define_pipelines(self) -> list[PassManager]:
        """The steps of numba, but for the last."""
        own = PassManager("linked")
        for step, said in DefaultPassBuilder.define_nopython_pipeline(self.state).passes:
            own.add_pass(self.step if step is NativeLowering else step, said)
        own.finalize()
        return [own]


class Inlined(Linked):
    """The same of one that LLVM has to inline."""

    step = _LowerInlined


def put_environments(dispatcher: Any) -> None:
    """Tell what has been compiled where the constants of the code linked into it are."""
    for made in dispatcher.overloads.values():
        for environment in made._find_referenced_environments():
            made.library.codegen.set_env(environment.env_name, environment)
