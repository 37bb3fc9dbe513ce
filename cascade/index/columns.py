"""Filters over all documents at once: every metadata field as a column of ranks among its sorted values."""

from __future__ import annotations

import bisect
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from cascade.filters import And, Comparison, Filter, Not, Or, Scalar
from cascade.index.topk import Mask

Codes = npt.NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class _Column:
    """One field's values of one type: sorted and distinct, and each document's place among them, -1 for none."""

    values: list[Any]
    codes: Codes

    def range(self, low: int, high: int) -> Mask:
        return (self.codes >= low) & (self.codes < high)


class Columns:
    """The metadata of documents by row; `mask` says of every row what `cascade.filters.matches` says of its metadata.

    Values of one type are ordered, so a comparison is a bisection among the distinct values by Python's own rules, and
    then a comparison of integers in numpy: exact for mixed and large numbers, and fast for many documents.
    """

    def __init__(self, rows: Sequence[Mapping[str, Scalar]]) -> None:
        self._count = len(rows)
        gathered: dict[tuple[str, str], tuple[list[int], list[Scalar]]] = {}
        for row, metadata in enumerate(rows):
            for name, value in metadata.items():
                places, values = gathered.setdefault((name, _kind(value)), ([], []))
                places.append(row)
                values.append(value)
        self._columns = {key: self._column(places, values) for key, (places, values) in gathered.items()}

    def mask(self, condition: Filter) -> Mask:
        """Which rows meet `condition`, bool (rows,)."""
        match condition:
            case And(parts):
                met = np.ones(self._count, dtype=np.bool_)
                for part in parts:
                    met &= self.mask(part)
                return met
            case Or(parts):
                met = np.zeros(self._count, dtype=np.bool_)
                for part in parts:
                    met |= self.mask(part)
                return met
            case Not(part):
                return ~self.mask(part)
            case Comparison(field, "in", values):
                met = np.zeros(self._count, dtype=np.bool_)
                for value in values:
                    met |= self._compare(field, "eq", value)
                return met
            case Comparison(field, op, values):
                return self._compare(field, op, values[0])

    def _compare(self, field: str, op: str, wanted: Scalar) -> Mask:
        column = self._columns.get((field, _kind(wanted)))
        if column is None:
            return np.zeros(self._count, dtype=np.bool_)
        if isinstance(wanted, float) and math.isnan(wanted):  # unordered: unequal to all, and no more to say
            return column.range(0, len(column.values) if op == "ne" else 0)
        left = bisect.bisect_left(column.values, wanted)
        right = bisect.bisect_right(column.values, wanted)
        match op:
            case "eq":
                return column.range(left, right)
            case "ne":
                return column.range(0, left) | column.range(right, len(column.values))
            case "lt":
                return column.range(0, left)
            case "le":
                return column.range(0, right)
            case "gt":
                return column.range(right, len(column.values))
            case _:
                return column.range(left, len(column.values))

    def _column(self, places: list[int], values: list[Any]) -> _Column:
        distinct = sorted(set(values))
        rank = {value: code for code, value in enumerate(distinct)}
        codes = np.full(self._count, -1, dtype=np.int32)
        codes[places] = [rank[value] for value in values]
        return _Column(distinct, codes)


def _kind(value: Scalar) -> str:
    """Numbers compare with numbers, and anything else with its own type; True is not 1."""
    if isinstance(value, bool):
        return "bool"
    return "str" if isinstance(value, str) else "number"
