"""Typed conditions over a document's metadata: comparisons joined by and, or, not; never a query string."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

Operator = Literal["eq", "ne", "lt", "le", "gt", "ge", "in"]
Scalar = str | int | float | bool

_COMPARE: dict[str, Callable[[Any, Any], Any]] = {
    "eq": operator.eq,
    "ne": operator.ne,
    "lt": operator.lt,
    "le": operator.le,
    "gt": operator.gt,
    "ge": operator.ge,
}


@dataclass(frozen=True, slots=True)
class Comparison:
    """`field` `op` one of `values`; only `in` takes more than one value."""

    field: str
    op: Operator
    values: tuple[Scalar, ...]


@dataclass(frozen=True, slots=True)
class And:
    """True when every part is."""

    parts: tuple[Filter, ...]


@dataclass(frozen=True, slots=True)
class Or:
    """True when any part is."""

    parts: tuple[Filter, ...]


@dataclass(frozen=True, slots=True)
class Not:
    """True when the part is not."""

    part: Filter


Filter = Comparison | And | Or | Not


def matches(condition: Filter, metadata: Mapping[str, Scalar]) -> bool:
    """Whether `metadata` meets `condition`; a comparison with a missing field, or with another type, is false."""
    match condition:
        case And(parts):
            return all(matches(p, metadata) for p in parts)
        case Or(parts):
            return any(matches(p, metadata) for p in parts)
        case Not(part):
            return not matches(part, metadata)
        case Comparison(field, op, values):
            found = metadata.get(field)
            if found is None:
                return False
            if op == "in":
                return any(_comparable(found, v) and found == v for v in values)
            return _comparable(found, values[0]) and bool(_COMPARE[op](found, values[0]))


def _comparable(found: Scalar, wanted: Scalar) -> bool:
    """Numbers compare with numbers, and anything else with its own type; True is not 1."""
    if isinstance(found, bool) or isinstance(wanted, bool):
        return isinstance(found, bool) and isinstance(wanted, bool)
    if isinstance(found, int | float) and isinstance(wanted, int | float):
        return True
    return type(found) is type(wanted)
