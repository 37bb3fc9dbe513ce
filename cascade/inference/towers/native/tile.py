"""The innermost product of attention, written in vectors so that its sums stay in registers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

ROWS = 8
COLUMNS = 32
_LANES = 16
_CONTRACT = ("contract",)
_I32, _I64 = ir.IntType(32), ir.IntType(64)
_VECTOR = ir.VectorType(ir.FloatType(), _LANES)
_ANY = ir.Constant(_VECTOR, ir.Undefined)
_FIRST_LANE = ir.Constant(ir.VectorType(_I32, _LANES), None)


def _multiply_tile(
    typing: Any, a: Any, a_at: Any, a_step: Any, b: Any, b_at: Any, b_step: Any, c: Any, c_at: Any, c_step: Any, k: Any
) -> Any:
    """c [8, 32] = a [8, k] b [k, 32], of float32 arrays, each from its `at` on and with `step` from row to row.

    Sixteen vectors of sums, two of b and one of a fill the 32 registers of AVX-512 little more than half; plain loops
    are not kept in registers by the compiler, and ran at half this speed. Every sum is over k in order, so that a row
    of c has the same bits whatever the other rows of a are.
    """
    signature = types.void(a, a_at, a_step, b, b_at, b_step, c, c_at, c_step, k)

    def generate(context: Any, build: Any, signature: Any, args: Any) -> Any:
        (a, a_at, a_step, b, b_at, b_step, c, c_at, c_step, k) = args
        a_type, b_type, c_type = signature.args[0], signature.args[3], signature.args[6]

        def pointer(kind: Any, array: Any, at: Any) -> Any:
            return build.gep(context.make_array(kind)(context, build, array).data, [at])

        def vector(row: Any, block: int) -> Any:
            return build.bitcast(build.gep(row, [_I64(block * _LANES)]), _VECTOR.as_pointer())

        a, b, c = pointer(a_type, a, a_at), pointer(b_type, b, b_at), pointer(c_type, c, c_at)
        alloca: Any = cgutils.alloca_once
        blocks = range(COLUMNS // _LANES)
        sums = [[alloca(build, _VECTOR) for _ in blocks] for _ in range(ROWS)]
        for row in sums:
            for place in row:
                build.store(ir.Constant(_VECTOR, None), place)
        a_rows = [build.gep(a, [build.mul(a_step, _I64(row))]) for row in range(ROWS)]
        with cgutils.for_range(build, k) as loop:
            b_row = build.gep(b, [build.mul(loop.index, b_step)])
            factors = [build.load(vector(b_row, block), align=4) for block in blocks]
            for a_row, row in zip(a_rows, sums, strict=True):
                one = build.insert_element(_ANY, build.load(build.gep(a_row, [loop.index])), _I32(0))
                every = build.shuffle_vector(one, _ANY, _FIRST_LANE)
                for factor, place in zip(factors, row, strict=True):
                    product = build.fmul(every, factor, flags=_CONTRACT)
                    build.store(build.fadd(product, build.load(place), flags=_CONTRACT), place)
        for number, row in enumerate(sums):
            c_row = build.gep(c, [build.mul(c_step, _I64(number))])
            for block, place in zip(blocks, row, strict=True):
                build.store(build.load(place), vector(c_row, block), align=4)
        return context.get_dummy_value()

    return signature, generate


multiply_tile: Callable[..., None] = intrinsic(_multiply_tile)
"""As `_multiply_tile` says, in compiled code, which does not pass the first argument."""
