"""Reads conditions over metadata as they are typed: `year>=2020`, `lang=en`, `lang=en,de`."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from cascade_client import Comparison, Filter
    from cascade_client.types import MetadataValue

_CONDITION = re.compile(r"(?P<field>[^<>=!]+)(?P<op>>=|<=|!=|=|<|>)(?P<value>.*)", re.DOTALL)
_OPERATORS = {">=": "ge", "<=": "le", "!=": "ne", "=": "eq", "<": "lt", ">": "gt"}


def parse(conditions: Sequence[str]) -> Filter | None:
    """All `conditions` together, None without any. Raises BadParameter for one that is not a condition."""
    from cascade_client import And

    parts = tuple(_comparison(text) for text in conditions)
    if not parts:
        return None
    return parts[0] if len(parts) == 1 else And(parts)


def _comparison(text: str) -> Comparison:
    from cascade_client import Comparison, Field

    found = _CONDITION.fullmatch(text)
    if found is None:
        raise typer.BadParameter(
            f"found {text!r}, expected FIELD=VALUE with one of = != < <= > >=", param_hint="--filter"
        )
    field, op, value = found["field"].strip(), found["op"], found["value"].strip()
    if op == "=" and "," in value and not value.startswith('"'):
        return Field(field).is_in(*(_value(part.strip()) for part in value.split(",")))
    return Comparison(field, _OPERATORS[op], (_value(value),))  # type: ignore[arg-type]  # the table holds operators only


def _value(text: str) -> MetadataValue:
    """A number or boolean where it reads as one, else a text; double quotes make it a text."""
    try:
        value = json.loads(text)
    except json.JSONDecodeError:
        return text
    return value if isinstance(value, str | int | float | bool) else text
