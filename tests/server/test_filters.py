"""A filter on the wire means what the engine's filter means."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cascade.filters import And, Comparison, Filter, Not, Operator, Or
from cascade_api.v1 import document_pb2
from cascade_server.convert.checks import Checks
from cascade_server.convert.filters import filter_of

OPERATORS: list[Operator] = ["eq", "ne", "lt", "le", "gt", "ge", "in"]


def value(of: str | int | float | bool) -> document_pb2.MetadataValue:
    if isinstance(of, bool):
        return document_pb2.MetadataValue(bool_value=of)
    if isinstance(of, int):
        return document_pb2.MetadataValue(int_value=of)
    if isinstance(of, float):
        return document_pb2.MetadataValue(double_value=of)
    return document_pb2.MetadataValue(string_value=of)


def message(condition: Filter) -> document_pb2.Filter:
    match condition:
        case And(parts):
            return document_pb2.Filter(all_of=document_pb2.FilterList(filters=[message(p) for p in parts]))
        case Or(parts):
            return document_pb2.Filter(any_of=document_pb2.FilterList(filters=[message(p) for p in parts]))
        case Not(part):
            return document_pb2.Filter(negated=message(part))
        case Comparison(field, op, values):
            operator = document_pb2.ComparisonOperator.Value(f"COMPARISON_OPERATOR_{op.upper()}")
            found = [value(v) for v in values]
            return document_pb2.Filter(comparison=document_pb2.Comparison(field=field, operator=operator, values=found))


scalars = (
    st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8"))
)
comparisons = st.builds(
    lambda field, op, values: Comparison(field, op, tuple(values if op == "in" else values[:1])),
    st.text("abc", min_size=1),
    st.sampled_from(OPERATORS),
    st.lists(scalars, min_size=1, max_size=3),
)
conditions = st.recursive(
    comparisons,
    lambda parts: (
        st.builds(Not, parts)
        | st.builds(lambda found: And(tuple(found)), st.lists(parts, min_size=1, max_size=3))
        | st.builds(lambda found: Or(tuple(found)), st.lists(parts, min_size=1, max_size=3))
    ),
    max_leaves=6,
)


@given(conditions)
def test_every_filter_comes_through_as_it_was_meant(condition: Filter) -> None:
    checks = Checks()
    assert filter_of(message(condition), checks) == condition
    checks.done()


@pytest.mark.parametrize("op", OPERATORS)
def test_every_operator_of_the_engine_is_on_the_wire(op: Operator) -> None:
    checks = Checks()
    assert filter_of(message(Comparison("a", op, (1,))), checks) == Comparison("a", op, (1,))
    checks.done()
