"""Conditions as they are typed."""

from __future__ import annotations

import pytest
import typer

from cascade.cli.conditions import parse
from cascade_client import And, Comparison, Field


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("lang=en", Field("lang").eq("en")),
        ("lang!=en", Field("lang").ne("en")),
        ("year >= 2020", Field("year").ge(2020)),
        ("year<2020", Field("year").lt(2020)),
        ("score<=0.5", Field("score").le(0.5)),
        ("year>1", Field("year").gt(1)),
        ("open=true", Field("open").eq(True)),
        ('year="2020"', Field("year").eq("2020")),
        ("lang=en,de", Field("lang").is_in("en", "de")),
        ('name="a,b"', Field("name").eq("a,b")),
        ("url=http://x/?a=b", Field("url").eq("http://x/?a=b")),
        ("gone=null", Field("gone").eq("null")),
    ],
)
def test_a_condition_is_typed_by_how_its_value_reads(text: str, expected: Comparison) -> None:
    found = parse([text])
    assert found == expected
    assert isinstance(found, Comparison)
    assert [type(value) for value in found.values] == [type(value) for value in expected.values]


def test_repeated_conditions_must_all_hold() -> None:
    assert parse(["a=1", "b=2"]) == And((Field("a").eq(1), Field("b").eq(2)))
    assert parse([]) is None


@pytest.mark.parametrize("text", ["lang", "=en", ""])
def test_what_is_no_condition_is_refused(text: str) -> None:
    with pytest.raises(typer.BadParameter, match="expected FIELD=VALUE"):
        parse([text])
