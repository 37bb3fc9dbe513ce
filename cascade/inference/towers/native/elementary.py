"""Exponential, error function and rounding to eight bits, in forms that compile to vectors."""

from __future__ import annotations

from math import erf, factorial
from typing import Any

import numpy as np
from numpy.polynomial import chebyshev

from cascade.inference.towers.native.machine_code import inlined, kernel

f = np.float32
i = np.int32

_REACH = 3.2
"""Beyond it the error function is 1, to less than 1e-5."""


def _fitted() -> tuple[float, ...]:
    """Coefficients p of erf(x) = x p(u), u = 2 x^2 / reach^2 - 1, fitted at Chebyshev's nodes: 3e-6 off at most."""
    u = np.cos(np.pi * (np.arange(4000) + 0.5) / 4000)
    x = np.sqrt((u + 1) / 2) * _REACH
    fit = chebyshev.chebfit(u, np.array([erf(one) / one for one in x]), 10)
    return tuple(float(f(one)) for one in chebyshev.cheb2poly(fit))


P0, P1, P2, P3, P4, P5, P6, P7, P8, P9, P10 = (f(one) for one in _fitted())
LIMIT = f(_REACH)
WIDTH = f(2 / _REACH**2)
ROOT = f(np.sqrt(0.5))
LOWEST = f(-87.0)
LOG2E, LN2 = f(1 / np.log(2)), f(np.log(2))
T1, T2, T3, T4 = (f(np.log(2) ** k / factorial(k)) for k in range(1, 5))
E2, E3, E4, E5, E6 = f(1 / 2), f(1 / 6), f(1 / 24), f(1 / 120), f(1 / 720)
MAGNITUDE = i(0x7FFFFFFF)
MOST = f(127)


@inlined
def exponential(x: Any) -> Any:
    """e^x of a float32 up to 87, 0 below -87, to 2e-7: a power of two put together of its bits, times a polynomial."""
    x = x if x > LOWEST else LOWEST
    halvings = np.rint(x * LOG2E)
    r = x - halvings * LN2
    p = ((((((E6 * r + E5) * r + E4) * r + E3) * r + E2) * r) + f(1)) * r + f(1)
    return p * i(i(i(halvings) + i(127)) << i(23)).view(np.float32)


@inlined
def power_of_two(x: Any) -> Any:
    """2^x of a float32 up to 0, 2^-126 below -126, to 5e-5: near enough for what is rounded to bfloat16."""
    x = x if x > f(-126) else f(-126)
    whole = np.rint(x)
    r = f(x - whole)
    p = f((((T4 * r + T3) * r + T2) * r + T1) * r + f(1))
    return i(p.view(np.int32) + i(i(whole) << i(23))).view(np.float32)


@inlined
def normal_share(x: Any) -> Any:
    """The standard normal distribution's share below x, to 2e-6."""
    x = x * ROOT
    x = x if x < LIMIT else LIMIT
    x = x if x > -LIMIT else -LIMIT
    u = x * x * WIDTH - f(1)
    p = P10
    p = ((((p * u + P9) * u + P8) * u + P7) * u + P6) * u + P5
    p = ((((p * u + P4) * u + P3) * u + P2) * u + P1) * u + P0
    return f(0.5) + f(0.5) * x * p


@inlined
def to_brain(x: Any) -> Any:
    """The bits of a float32 as bfloat16, to nearest, ties to even."""
    bits = x.view(np.int32)
    return np.uint16(i(bits + i(0x7FFF) + (i(bits >> i(16)) & i(1))) >> i(16))


@inlined
def above_to_brain(x: Any) -> Any:
    """As `to_brain`, of a float32 above 0: a tie goes up, in half the operations."""
    return np.uint16(i(x.view(np.int32) + i(0x8000)) >> i(16))


@inlined
def _largest(x: Any) -> Any:
    """The largest magnitude of float32 `x` (n,), 1 where all are 0.

    It is found among bit patterns, whose order is that of the numbers: a maximum of floats, which must mind NaN, is not
    compiled to vectors.
    """
    bits = x.view(np.int32)
    most = i(0)
    for k in range(len(x)):
        magnitude = i(bits[k] & MAGNITUDE)
        most = magnitude if magnitude > most else most
    largest = i(most).view(np.float32)
    return f(1) if largest == f(0) else largest


@kernel
def rounded(x: Any, out: Any) -> Any:
    """The scale of float32 `x` (n,), whose multiples `out` are then int8 from -127 to 127; 1/127 where x is 0."""
    largest = _largest(x)
    scale = MOST / largest
    for k in range(len(x)):
        out[k] = np.int8(np.rint(x[k] * scale))
    return largest / MOST


@kernel
def rounded_above(x: Any, floor: Any, out: Any) -> Any:
    """Scale and offset of float32 `x` (n,), none of which is below -`floor`: x = scale out + offset, but for rounding.

    As `rounded`, with all the multiples for where the numbers are: of those of an activation, hardly any are below 0.
    """
    largest = _largest(x)
    lowest = floor if floor < largest else largest
    width, offset = largest + lowest, (largest - lowest) * f(0.5)
    scale = f(2) * MOST / width
    for k in range(len(x)):
        out[k] = np.int8(np.rint((x[k] - offset) * scale))
    return width / (f(2) * MOST), offset
