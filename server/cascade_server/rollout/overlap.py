"""How alike two rankings are, from 0 for nothing in common to 1 for the same, in whichever order they are given."""

from __future__ import annotations

from collections.abc import Sequence
from math import fsum

PERSISTENCE = 0.9
"""The p of rank-biased overlap: a reader goes on to the next rank nine times of ten; ten ranks have 86 % of the say."""


def overlap(one: Sequence[str], other: Sequence[str], k: int) -> float:
    """The share of the first `k` that is in both; of shorter rankings, the share of the longer."""
    first, second = set(one[:k]), set(other[:k])
    return len(first & second) / max(len(first), len(second)) if first or second else 1.0


def rank_biased_overlap(one: Sequence[str], other: Sequence[str], p: float = PERSISTENCE) -> float:
    """RBO_EXT (Webber, Moffat and Zobel, 2010, equation 32), for rankings without ties, of any two lengths.

    What lies beyond the shorter and the longer ranking is taken to agree as far as what was seen.
    """
    short, long = sorted((one, other), key=len)
    s, l = len(short), len(long)  # noqa: E741  # as in the paper
    if not s:
        return 1.0 if not l else 0.0
    x = [0]  # x[d]: how many are in both down to depth d
    in_short, in_long = set[str](), set[str]()
    for d in range(l):
        in_short.update(short[d : d + 1])
        in_long.add(long[d])
        x.append(x[-1] + _new(short, long, d, in_short, in_long))
    seen = fsum(x[d] / d * p**d for d in range(1, l + 1))
    beyond_short = fsum(x[s] * (d - s) / (s * d) * p**d for d in range(s + 1, l + 1))
    extrapolated = ((x[l] - x[s]) / l + x[s] / s) * p**l
    return min(1.0, (1 - p) / p * (seen + beyond_short) + extrapolated)


def _new(short: Sequence[str], long: Sequence[str], d: int, in_short: set[str], in_long: set[str]) -> int:
    """How many come to be in both by the entries at place `d`."""
    if d >= len(short):
        return int(long[d] in in_short)
    if short[d] == long[d]:
        return 1
    return int(short[d] in in_long) + int(long[d] in in_short)
