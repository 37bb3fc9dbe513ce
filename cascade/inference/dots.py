"""Inner products of many vectors with a few, written in the processor's own instructions for matrices."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils as untyped_cgutils
from numba.extending import intrinsic

cgutils: Any = untyped_cgutils
ROWS = 8
"""Vectors that are multiplied together."""
COLUMNS = 32
"""The few: two registers of sixteen numbers."""
_LANES = 16
_I8, _I32, _I64 = ir.IntType(8), ir.IntType(32), ir.IntType(64)
_INTS, _FLOATS = ir.VectorType(_I32, _LANES), ir.VectorType(ir.FloatType(), _LANES)
_FIRST_LANE = ir.Constant(_INTS, None)
_FLIP = ir.Constant(_I32, 0x80808080)


def _generator(whole: bool) -> Callable[..., Any]:
    """Code for whole numbers of eight bits, or for float32."""
    kind = _INTS if whole else _FLOATS
    lane = _I32 if whole else ir.FloatType()

    def generate(context: Any, build: Any, signature: Any, args: Any) -> Any:
        vectors, step, count, few, few_at, start, out, words = args

        def data(place: int, array: Any) -> Any:
            return context.make_array(signature.args[place])(context, build, array).data

        def at(pointer: Any, offset: Any) -> Any:
            return build.bitcast(build.gep(pointer, [offset]), kind.as_pointer())

        few_data, start_data, out_data = data(3, few), data(5, start), data(6, out)
        last = build.sub(count, _I64(1))
        rows = []
        for row in range(ROWS):
            number = build.select(build.icmp_signed("<", _I64(row), count), _I64(row), last)
            rows.append(build.inttoptr(build.add(vectors, build.mul(number, step)), lane.as_pointer()))
        blocks = range(COLUMNS // _LANES)
        sums = [[cgutils.alloca_once(build, kind) for _ in blocks] for _ in rows]
        for places in sums:
            for block, place in zip(blocks, places, strict=True):
                build.store(build.load(at(start_data, _I64(block * _LANES)), align=4), place)
        with cgutils.for_range(build, words) as loop:
            first = build.add(few_at, build.mul(loop.index, _I64(COLUMNS)))
            factors = [build.load(at(few_data, build.add(first, _I64(block * _LANES))), align=4) for block in blocks]
            for row, places in zip(rows, sums, strict=True):
                word = build.load(build.gep(row, [loop.index]), align=1)
                if whole:
                    word = build.xor(word, _FLIP)
                undefined = ir.Constant(kind, ir.Undefined)
                every = build.shuffle_vector(build.insert_element(undefined, word, _I32(0)), undefined, _FIRST_LANE)
                for factor, place in zip(factors, places, strict=True):
                    build.store(_added(build, build.load(place), every, factor, whole), place)
        for row, places in enumerate(sums):
            for block, place in zip(blocks, places, strict=True):
                build.store(build.load(place), at(out_data, _I64(row * COLUMNS + block * _LANES)), align=4)
        return context.get_dummy_value()

    return generate


def _added(build: Any, sums: Any, every: Any, factor: Any, whole: bool) -> Any:
    if not whole:
        return build.fadd(sums, build.fmul(every, factor, flags=("contract",)), flags=("contract",))
    shape = ir.FunctionType(_INTS, [_INTS, _INTS, _INTS])
    function = cgutils.get_or_insert_function(build.module, shape, "llvm.x86.avx512.vpdpbusd.512")
    return build.call(function, [sums, every, factor])


def _dots(whole: bool) -> Callable[..., Any]:
    generate = _generator(whole)

    def dots(
        typing: Any, vectors: Any, step: Any, count: Any, few: Any, few_at: Any, start: Any, out: Any, words: Any
    ) -> Any:
        return types.void(vectors, step, count, few, few_at, start, out, words), generate

    return dots


dots_int8 = intrinsic(_dots(True))
"""out [8, 32] = start + (vectors + 128) few, of whole numbers.

`vectors` is the address of `count` int8 vectors, `step` bytes apart, of `words` times four numbers; beyond `count` the
last is taken. `few` int32 [words, 32] holds four numbers of eight bits each, from `few_at` on.
"""
dots_float32 = intrinsic(_dots(False))
"""The same of float32, without the 128: `words` numbers a vector, `few` float32 [words, 32]."""
