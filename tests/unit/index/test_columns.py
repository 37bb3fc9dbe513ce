"""Filters over all documents at once agree with the filter over one."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cascade.filters import And, Comparison, Filter, Not, Or, Scalar, matches
from cascade.index.columns import Columns

NUMBERS = st.sampled_from([0, 1, -1, 2, 0.0, -0.0, 1.0, 1.5, 2**53, 2**53 + 1, float(2**53), -(2**63), 1e300])
STORED = NUMBERS | st.booleans() | st.sampled_from(["", "a", "b", "B", "é", "1", "日本"])
WANTED = STORED | st.sampled_from([math.nan, math.inf, -math.inf])
FIELDS = st.sampled_from(["x", "y"])


def _comparisons() -> st.SearchStrategy[Filter]:
    one = st.builds(
        lambda field, op, value: Comparison(field, op, (value,)),
        FIELDS,
        st.sampled_from(["eq", "ne", "lt", "le", "gt", "ge"]),
        WANTED,
    )
    several = st.builds(
        lambda field, values: Comparison(field, "in", tuple(values)), FIELDS, st.lists(WANTED, max_size=3)
    )
    return one | several


FILTERS = st.recursive(
    _comparisons(),
    lambda inner: (
        st.builds(lambda parts: And(tuple(parts)), st.lists(inner, max_size=3))
        | st.builds(lambda parts: Or(tuple(parts)), st.lists(inner, max_size=3))
        | st.builds(Not, inner)
    ),
    max_leaves=6,
)


@settings(deadline=None)
@given(st.lists(st.dictionaries(FIELDS, STORED), max_size=8), FILTERS)
def test_a_mask_says_of_every_row_what_matches_says(rows: list[dict[str, Scalar]], condition: Filter) -> None:
    assert Columns(rows).mask(condition).tolist() == [matches(condition, row) for row in rows]


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        (Comparison("n", "gt", (2**53,)), [False, True, False]),
        (Comparison("n", "ne", (5,)), [True, True, False]),
        (Not(Comparison("n", "ne", (5,))), [False, False, True]),
        (Comparison("n", "eq", (True,)), [False, False, False]),
    ],
)
def test_numbers_compare_exactly_and_a_missing_field_meets_no_comparison(
    condition: Filter, expected: list[bool]
) -> None:
    assert Columns([{"n": 2**53}, {"n": 2**53 + 1}, {}]).mask(condition).tolist() == expected
