"""Filters from the wire, each part checked."""

from __future__ import annotations

from functools import partial

from cascade.filters import And, Comparison, Filter, Not, Operator, Or
from cascade_api.v1 import document_pb2
from cascade_server.convert.checks import Checks
from cascade_server.convert.documents import metadata_value

MAX_CONDITIONS = 256
MAX_VALUES = 10_000

_OPERATORS: dict[document_pb2.ComparisonOperator.ValueType, Operator] = {
    document_pb2.COMPARISON_OPERATOR_EQ: "eq",
    document_pb2.COMPARISON_OPERATOR_NE: "ne",
    document_pb2.COMPARISON_OPERATOR_LT: "lt",
    document_pb2.COMPARISON_OPERATOR_LE: "le",
    document_pb2.COMPARISON_OPERATOR_GT: "gt",
    document_pb2.COMPARISON_OPERATOR_GE: "ge",
    document_pb2.COMPARISON_OPERATOR_IN: "in",
}
_NOTHING = Or(())


def filter_of(message: document_pb2.Filter, checks: Checks) -> Filter:
    """The condition that `message` states."""
    if _size(message) > MAX_CONDITIONS:
        checks.add("filter", f"found more than {MAX_CONDITIONS} conditions, expected at most that many")
        return _NOTHING
    return _condition(message, "filter", checks)


def _size(message: document_pb2.Filter) -> int:
    """How many conditions there are; counting ends beyond MAX_CONDITIONS, since a message holds millions."""
    count, left = 1, [message]
    while left and count <= MAX_CONDITIONS:
        one = left.pop()
        parts = [one.negated] if one.HasField("negated") else []
        parts += [*one.all_of.filters[:MAX_CONDITIONS], *one.any_of.filters[:MAX_CONDITIONS]]
        count += len(parts)
        left += parts
    return count


def _condition(message: document_pb2.Filter, path: str, checks: Checks) -> Filter:
    match message.WhichOneof("condition"):
        case "all_of":
            return And(_parts(message.all_of, f"{path}.all_of", checks))
        case "any_of":
            return Or(_parts(message.any_of, f"{path}.any_of", checks))
        case "negated":
            return Not(_condition(message.negated, f"{path}.negated", checks))
        case "comparison":
            return _comparison(message.comparison, f"{path}.comparison", checks)
        case _:
            checks.add(path, "has no condition, expected all_of, any_of, negated or comparison")
            return _NOTHING


def _parts(message: document_pb2.FilterList, path: str, checks: Checks) -> tuple[Filter, ...]:
    checks.require(len(message.filters) > 0, f"{path}.filters", "is empty, expected at least one filter")
    return tuple(_condition(part, f"{path}.filters[{i}]", checks) for i, part in enumerate(message.filters))


def _comparison(message: document_pb2.Comparison, path: str, checks: Checks) -> Filter:
    checks.require(bool(message.field), f"{path}.field", "is empty, expected the name of a metadata field")
    op = _OPERATORS.get(message.operator)
    if op is None:
        checks.add(f"{path}.operator", f"found {message.operator}, expected one of EQ, NE, LT, LE, GT, GE and IN")
    count = len(message.values)
    if count == 0:
        checks.add(f"{path}.values", "is empty, expected a value to compare with")
    elif count > 1 and op not in ("in", None):
        checks.add(f"{path}.values", f"found {count} values, expected one; only IN takes several")
    checks.require(count <= MAX_VALUES, f"{path}.values", f"found {count} values, expected at most {MAX_VALUES}")
    place = f"{path}.values[{{}}]".format
    within = message.values[:MAX_VALUES]
    values = tuple(metadata_value(value, partial(place, i), checks) for i, value in enumerate(within))
    return Comparison(message.field, op or "eq", values)
