"""Conditions over metadata: `Field("year").ge(2020) & ~Field("lang").eq("de")`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from cascade_client.types import MetadataValue

Operator = Literal["eq", "ne", "lt", "le", "gt", "ge", "in"]


class Filter:
    """A condition; conditions join by `&`, `|` and `~`."""

    __slots__ = ()

    def __and__(self, other: Filter) -> And:
        return And((self, other))

    def __or__(self, other: Filter) -> Or:
        return Or((self, other))

    def __invert__(self) -> Not:
        return Not(self)


@dataclass(frozen=True, slots=True)
class Comparison(Filter):
    """`field` `op` one of `values`; false when a document has no such field, or one of another type."""

    field: str
    op: Operator
    values: tuple[MetadataValue, ...]


@dataclass(frozen=True, slots=True)
class And(Filter):
    """True when every part is."""

    parts: tuple[Filter, ...]


@dataclass(frozen=True, slots=True)
class Or(Filter):
    """True when any part is."""

    parts: tuple[Filter, ...]


@dataclass(frozen=True, slots=True)
class Not(Filter):
    """True when the part is not."""

    part: Filter


@dataclass(frozen=True, slots=True)
class Field:
    """A metadata field, from which comparisons are made."""

    name: str

    def eq(self, value: MetadataValue) -> Comparison:
        """Equal to `value`."""
        return Comparison(self.name, "eq", (value,))

    def ne(self, value: MetadataValue) -> Comparison:
        """Present and not equal to `value`."""
        return Comparison(self.name, "ne", (value,))

    def lt(self, value: MetadataValue) -> Comparison:
        """Less than `value`."""
        return Comparison(self.name, "lt", (value,))

    def le(self, value: MetadataValue) -> Comparison:
        """At most `value`."""
        return Comparison(self.name, "le", (value,))

    def gt(self, value: MetadataValue) -> Comparison:
        """Greater than `value`."""
        return Comparison(self.name, "gt", (value,))

    def ge(self, value: MetadataValue) -> Comparison:
        """At least `value`."""
        return Comparison(self.name, "ge", (value,))

    def is_in(self, *values: MetadataValue) -> Comparison:
        """Equal to one of `values`."""
        return Comparison(self.name, "in", values)
