"""Reads text files line by line, so that whatever is wrong in one is told with its file and line."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from cascade.errors import InvalidInputError, Violation


def lines(path: Path) -> Iterator[tuple[str, str]]:
    """Every line that is not blank, with its place as FILE:LINE. Raises InvalidInputError."""
    try:
        with path.open("rb") as file:
            for number, raw in enumerate(file, start=1):
                place = f"{path}:{number}"
                try:
                    line = raw.decode("utf-8").rstrip("\r\n")
                except UnicodeDecodeError as error:
                    raise invalid(place, f"not valid UTF-8: {error}") from error
                if line.strip():
                    yield place, line
    except OSError as error:
        raise invalid(str(path), f"cannot be read: {error.strerror}") from error


def objects(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every line as a JSON object. Raises InvalidInputError."""
    for place, line in lines(path):
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            raise invalid(place, f"not valid JSON: {error}") from error
        if not isinstance(row, dict):
            raise invalid(place, f"found {type(row).__name__}, expected a JSON object")
        yield place, row


def table(path: Path, count: int) -> Iterator[tuple[str, list[str]]]:
    """The rows of a table of `count` columns whose first line is a header. Raises InvalidInputError."""
    for number, (place, line) in enumerate(lines(path)):
        columns = line.split("\t")
        if len(columns) != count:
            raise invalid(place, f"found {len(columns)} columns separated by tabs, expected {count}")
        if number > 0:
            yield place, columns
        elif columns[0] != "query-id":
            raise invalid(place, f"found {columns[0]!r}, expected a header that begins with 'query-id'")


def text(row: Mapping[str, Any], key: str, place: str, default: str | None = None) -> str:
    """The string at `key`; an id must not be empty. Raises InvalidInputError."""
    value = row.get(key, default)
    if not isinstance(value, str) or (key == "_id" and not value):
        raise invalid(place, f"{key!r} is {json.dumps(value)[:80]}, expected a string")
    return value


def number(value: str, what: str, place: str) -> int:
    """The whole number that `value` writes. Raises InvalidInputError."""
    try:
        return int(value)
    except ValueError:
        raise invalid(place, f"{what} {value!r} is not a whole number") from None


def invalid(place: str, message: str) -> InvalidInputError:
    """The error that says what is wrong at `place`."""
    return InvalidInputError([Violation(place, message)])
