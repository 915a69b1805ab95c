"""Arrays and functions by their addresses, in compiled code, and arrays that it makes.

An address is an integer, which costs nothing to hand over; what lies there must be kept alive by whoever made it, and
be what it is taken for: nothing is checked. Arrays come without the functions of numpy and numba that make them, which
would be compiled anew for every number of axes and every kind of number.
"""

from typing import no_type_check

import numba as nb
from llvmlite import ir
from numba.core import cgutils
from numba.core.typing import signature
from numba.extending import intrinsic
from numba.np.arrayobj import _empty_nd_impl, np_cfarray


@intrinsic
@no_type_check
def at(_context, place, shape, kind):
    """The array at an address."""
    array, sizes = _types_of(shape, kind)

    def generate(context, builder, _signature, arguments):
        found = builder.inttoptr(arguments[0], ir.IntType(8).as_pointer())
        return np_cfarray(context, builder, signature(array, nb.types.voidptr, sizes), (found, arguments[1]))

    return array(place, sizes, kind), generate


@intrinsic
@no_type_check
def new_empty(_context, shape, kind):
    """`np.empty`."""
    array, sizes = _types_of(shape, kind)

    def generate(context, builder, _signature, arguments):
        return _empty_nd_impl(context, builder, array, _axes(builder, arguments[0]))._getvalue()

    return array(sizes, kind), generate


@intrinsic
@no_type_check
def new_zeros(_context, shape, kind):
    """`np.zeros`."""
    array, sizes = _types_of(shape, kind)

    def generate(context, builder, _signature, arguments):
        whole = _empty_nd_impl(context, builder, array, _axes(builder, arguments[0]))
        cgutils.memset(builder, whole.data, builder.mul(whole.itemsize, whole.nitems), 0)
        return whole._getvalue()

    return array(sizes, kind), generate


def _types_of(shape, kind):
    """The type of an array of that shape and kind of number, and that of the shape."""
    n = len(shape) if isinstance(shape, nb.types.BaseTuple) else 1
    sizes = nb.types.UniTuple(nb.types.intp, n) if isinstance(shape, nb.types.BaseTuple) else nb.types.intp
    # C-contiguous for certain, so that loops vectorise without a look at strides.
    return nb.types.Array(kind.dtype, n, "C"), sizes


def _axes(builder, sizes):
    return [sizes] if isinstance(sizes.type, ir.IntType) else cgutils.unpack_tuple(builder, sizes)


@intrinsic
@no_type_check
def run(_context, part, job):
    """Call the function at `part` with `job`."""

    def generate(context, builder, _signature, arguments):
        byte = ir.IntType(8).as_pointer()
        kind = ir.FunctionType(ir.VoidType(), [byte])
        function, first = builder.inttoptr(arguments[0], kind.as_pointer()), builder.inttoptr(arguments[1], byte)
        # Called by address: numba would compile a first-class function anew for every caller.
        builder.call(function, [first])
        return context.get_dummy_value()

    return nb.types.void(part, job), generate


@intrinsic
@no_type_check
def run_team(_context, go, part, job, n):
    """Call the function at `part` with `job` on n threads, and wait for them."""
    byte, int32 = ir.IntType(8).as_pointer(), ir.IntType(32)

    def generate(context, builder, _signature, arguments):
        kind = ir.FunctionType(ir.VoidType(), [byte, byte, int32, int32])
        function = builder.inttoptr(arguments[0], kind.as_pointer())
        first, second = (builder.inttoptr(given, byte) for given in arguments[1:3])
        builder.call(function, [first, second, builder.trunc(arguments[3], int32), ir.Constant(int32, 0)])
        return context.get_dummy_value()

    return nb.types.void(go, part, job, n), generate


@intrinsic
@no_type_check
def ask(_context, function):
    """What the function of no arguments at an address says."""

    def generate(_context, builder, _signature, arguments):
        kind = ir.FunctionType(ir.IntType(32), [])
        return builder.sext(builder.call(builder.inttoptr(arguments[0], kind.as_pointer()), []), ir.IntType(64))

    return nb.types.int64(function), generate


@intrinsic
@no_type_check
def not_zero(_context, place):
    """Which of the 64 numbers of float32 at an address are not 0, the first in the lowest bit."""

    def generate(_context, builder, _signature, arguments):
        numbers, bits = ir.VectorType(ir.FloatType(), 64), ir.IntType(64)
        found = builder.load(builder.inttoptr(arguments[0], numbers.as_pointer()), align=4)
        return builder.bitcast(builder.fcmp_unordered("!=", found, ir.Constant(numbers, None)), bits)

    return nb.types.uint64(place), generate


@intrinsic
@no_type_check
def fetch(_context, place):
    """Begin to bring the line of memory at an address into the nearest cache."""

    def generate(context, builder, _signature, arguments):
        byte, int32 = ir.IntType(8).as_pointer(), ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [byte, int32, int32, int32])
        function = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0i8")
        read, most, data = (ir.Constant(int32, value) for value in (0, 3, 1))
        builder.call(function, [builder.inttoptr(arguments[0], byte), read, most, data])
        return context.get_dummy_value()

    return nb.types.void(place), generate
