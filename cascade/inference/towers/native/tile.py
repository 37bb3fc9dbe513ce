"""The innermost product of attention, written in vectors so that its sums stay in registers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils, codegen, config
from numba.extending import intrinsic

ROWS = 8
COLUMNS = 32
_LANES = 16
_CONTRACT = ("contract",)
_I32, _I64 = ir.IntType(32), ir.IntType(64)
_VECTOR = ir.VectorType(ir.FloatType(), _LANES)
_ANY = ir.Constant(_VECTOR, ir.Undefined)
_FIRST_LANE = ir.Constant(ir.VectorType(_I32, _LANES), None)


class _Brain(ir.types._BaseFloatType):  # type: ignore[misc]  # the library has no annotations
    """LLVM's type of bfloat16, which its binding has no name for."""

    null = "0.0"
    intrinsic_name = "bf16"

    def __str__(self) -> str:
        return "bfloat"


_Brain._create_instance()
_PAIRS = ir.VectorType(_Brain(), 2 * _LANES)
_DOT = "llvm.x86.avx512bf16.dpbf16ps.512"


def multiplies_pairs() -> bool:
    """Whether this processor, as compiled for, multiplies pairs of bfloat16."""
    settings: Any = config
    target: Any = codegen
    features: str = settings.CPU_FEATURES or ("" if settings.CPU_NAME else target.get_host_cpu_features())
    return "+avx512bf16" in features.split(",")


def _add_product(build: Any, a: Any, b: Any, sums: Any) -> Any:
    return build.fadd(build.fmul(a, b, flags=_CONTRACT), sums, flags=_CONTRACT)


def _add_products(build: Any, a: Any, b: Any, sums: Any) -> Any:
    declare: Any = cgutils.get_or_insert_function
    dot = declare(build.module, ir.FunctionType(_VECTOR, [_VECTOR, _PAIRS, _PAIRS]), _DOT)
    return build.call(dot, [sums, build.bitcast(a, _PAIRS), build.bitcast(b, _PAIRS)])


def _multiply(add: Callable[[Any, Any, Any, Any], Any], signature: Any) -> tuple[Any, Callable[..., Any]]:
    """Sixteen vectors of sums, two of b and one of a fill the 32 registers of AVX-512 little more than half; plain
    loops are not kept in registers by the compiler, and ran at half this speed. Every sum is over k in order, so that a
    row of c has the same bits whatever the other rows of a are."""

    def generate(context: Any, build: Any, signature: Any, args: Any) -> Any:
        (a, a_at, a_step, b, b_at, b_step, c, c_at, c_step, k) = args
        a_type, b_type, c_type = signature.args[0], signature.args[3], signature.args[6]

        def pointer(kind: Any, array: Any, at: Any) -> Any:
            data = context.make_array(kind)(context, build, array).data
            return build.gep(build.bitcast(data, ir.FloatType().as_pointer()), [at])

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
                    build.store(add(build, every, factor, build.load(place)), place)
        for number, row in enumerate(sums):
            c_row = build.gep(c, [build.mul(c_step, _I64(number))])
            for block, place in zip(blocks, row, strict=True):
                build.store(build.load(place), vector(c_row, block), align=4)
        return context.get_dummy_value()

    return signature, generate


def _multiply_tile(
    typing: Any, a: Any, a_at: Any, a_step: Any, b: Any, b_at: Any, b_step: Any, c: Any, c_at: Any, c_step: Any, k: Any
) -> Any:
    """c [8, 32] = a [8, k] b [k, 32], of float32 arrays, each from its `at` on and with `step` from row to row."""
    return _multiply(_add_product, types.void(a, a_at, a_step, b, b_at, b_step, c, c_at, c_step, k))


def _multiply_tile_of_pairs(
    typing: Any, a: Any, a_at: Any, a_step: Any, b: Any, b_at: Any, b_step: Any, c: Any, c_at: Any, c_step: Any, k: Any
) -> Any:
    """The same, where each int32 of a [8, k] and of b [k, 32] is two numbers in bfloat16, both of which are multiplied.

    Twice the products in the same time; c is float32, and so are the sums. Only where `multiplies_pairs`.
    """
    return _multiply(_add_products, types.void(a, a_at, a_step, b, b_at, b_step, c, c_at, c_step, k))


multiply_tile: Callable[..., None] = intrinsic(_multiply_tile)
"""As `_multiply_tile` says, in compiled code, which does not pass the first argument."""
multiply_tile_of_pairs: Callable[..., None] = intrinsic(_multiply_tile_of_pairs)
"""As `_multiply_tile_of_pairs` says, in compiled code."""
