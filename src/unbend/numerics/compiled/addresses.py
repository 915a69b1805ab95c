"""Arrays and functions by their addresses, in compiled code.

An address is an integer, which costs nothing to hand over; what lies there must be kept alive by whoever made it, and
be what it is taken for: nothing is checked.
"""

from typing import no_type_check

import numba as nb
from llvmlite import ir
from numba.extending import intrinsic

from unbend.numerics.compiled.jit import part


@intrinsic
@no_type_check
def address(_context, number):
    """An integer taken for an address."""

    def made(_context, builder, _signature, arguments):
        return builder.inttoptr(arguments[0], ir.IntType(8).as_pointer())

    return nb.types.voidptr(number), made


@part(set())
@no_type_check
def at(place, shape, kind):
    """The array at an address."""
    return nb.carray(address(place), shape, kind)


@intrinsic
@no_type_check
def run(_context, part, job):
    """Call the function at `part` with `job`."""

    def made(context, builder, _signature, arguments):
        byte = ir.IntType(8).as_pointer()
        kind = ir.FunctionType(ir.VoidType(), [byte])
        function, first = builder.inttoptr(arguments[0], kind.as_pointer()), builder.inttoptr(arguments[1], byte)
        builder.call(function, [first])
        return context.get_dummy_value()

    return nb.types.void(part, job), made


@intrinsic
@no_type_check
def run_team(_context, go, part, job, n):
    """Call the function at `part` with `job` on n threads, and wait for them."""
    byte, int32 = ir.IntType(8).as_pointer(), ir.IntType(32)

    def made(context, builder, _signature, arguments):
        kind = ir.FunctionType(ir.VoidType(), [byte, byte, int32, int32])
        function = builder.inttoptr(arguments[0], kind.as_pointer())
        first, second = (builder.inttoptr(given, byte) for given in arguments[1:3])
        builder.call(function, [first, second, builder.trunc(arguments[3], int32), ir.Constant(int32, 0)])
        return context.get_dummy_value()

    return nb.types.void(go, part, job, n), made


@intrinsic
@no_type_check
def ask(_context, function):
    """What the function of no arguments at an address says."""

    def made(_context, builder, _signature, arguments):
        kind = ir.FunctionType(ir.IntType(32), [])
        return builder.sext(builder.call(builder.inttoptr(arguments[0], kind.as_pointer()), []), ir.IntType(64))

    return nb.types.int64(function), made
