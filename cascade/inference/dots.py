"""The best inner product of many vectors with each of a few, in the processor's own instructions for matrices."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils as untyped_cgutils
from numba.extending import intrinsic

cgutils: Any = untyped_cgutils
ROWS = 12
"""Vectors that are multiplied together: with two registers of sums each, and the factors, they fill AVX-512's 32."""
COLUMNS = 32
"""The few: two registers of sixteen numbers."""
_LANES = 16
_CONTRACT = ("contract",)
_I32, _I64, _F32 = ir.IntType(32), ir.IntType(64), ir.FloatType()
_INTS, _FLOATS = ir.VectorType(_I32, _LANES), ir.VectorType(_F32, _LANES)
_FIRST_LANE = ir.Constant(_INTS, None)
_FLIP = ir.Constant(_I32, 0x80808080)


def _every(build: Any, number: Any, kind: Any) -> Any:
    """A register whose lanes are all `number`."""
    undefined = ir.Constant(kind, ir.Undefined)
    return build.shuffle_vector(build.insert_element(undefined, number, _I32(0)), undefined, _FIRST_LANE)


def _generator(whole: bool) -> Callable[..., Any]:
    """Code for whole numbers of eight bits, or for float32."""
    kind, lane = (_INTS, _I32) if whole else (_FLOATS, _F32)
    blocks = range(COLUMNS // _LANES)

    def generate(context: Any, build: Any, signature: Any, args: Any) -> Any:
        vectors, step, count, few, start, scales, scales_at, best, words = args

        def data(place: int, array: Any) -> Any:
            return context.make_array(signature.args[place])(context, build, array).data

        def at(pointer: Any, offset: Any, of: Any) -> Any:
            return build.bitcast(build.gep(pointer, [offset]), of.as_pointer())

        few, start, scales, best = data(3, few), data(4, start), data(5, scales), data(7, best)
        last = build.sub(count, _I64(1))
        numbers = [build.select(build.icmp_signed("<", _I64(n), count), _I64(n), last) for n in range(ROWS)]
        rows = [build.inttoptr(build.add(vectors, build.mul(n, step)), lane.as_pointer()) for n in numbers]
        sums = [[cgutils.alloca_once(build, kind) for _ in blocks] for _ in rows]
        for places in sums:
            for block, place in zip(blocks, places, strict=True):
                build.store(build.load(at(start, _I64(block * _LANES), kind), align=4), place)
        with cgutils.for_range(build, words) as loop:
            first = build.mul(loop.index, _I64(len(blocks) * _LANES))
            factors = [build.load(at(few, build.add(first, _I64(n * _LANES)), kind), align=4) for n in blocks]
            for row, places in zip(rows, sums, strict=True):
                word = build.load(build.gep(row, [loop.index]), align=1)
                every = _every(build, build.xor(word, _FLIP) if whole else word, kind)
                for factor, place in zip(factors, places, strict=True):
                    build.store(_added(build, build.load(place), every, factor, whole), place)
        for block in blocks:
            place = at(best, _I64(block * _LANES), _FLOATS)
            largest = build.load(place, align=4)
            for number, places in zip(numbers, sums, strict=True):
                found = build.load(places[block])
                if whole:
                    scale = build.load(build.gep(scales, [build.add(scales_at, number)]))
                    found = build.fmul(build.sitofp(found, _FLOATS), _every(build, scale, _FLOATS))
                largest = build.select(build.fcmp_ordered(">", found, largest), found, largest)
            build.store(largest, place, align=4)
        return context.get_dummy_value()

    return generate


def _added(build: Any, sums: Any, every: Any, factor: Any, whole: bool) -> Any:
    if not whole:
        return build.fadd(sums, build.fmul(every, factor, flags=_CONTRACT), flags=_CONTRACT)
    shape = ir.FunctionType(_INTS, [_INTS, _INTS, _INTS])
    function = cgutils.get_or_insert_function(build.module, shape, "llvm.x86.avx512.vpdpbusd.512")
    return build.call(function, [sums, every, factor])


def _best(whole: bool) -> Callable[..., Any]:
    generate = _generator(whole)

    def best(
        typing: Any, vectors: Any, step: Any, count: Any, few: Any, start: Any, scales: Any, scales_at: Any,
        best: Any, words: Any,
    ) -> Any:  # fmt: skip
        return types.void(vectors, step, count, few, start, scales, scales_at, best, words), generate

    return best


best_int8 = intrinsic(_best(True))
"""best [32] = the greater of best and (start + (vector + 128) few) scale, for up to twelve vectors.

`vectors` is the address of `count` int8 vectors, `step` bytes apart, of `words` times four numbers. `few` int32
[words, 32] holds of 32 vectors four numbers of eight bits each. A vector's scale is in `scales` from `scales_at` on.
All arrays are flat.
"""
best_float32 = intrinsic(_best(False))
"""best [32] = the greater of best and start + vector few: `words` numbers a vector, `few` float32 [words, 32]."""
