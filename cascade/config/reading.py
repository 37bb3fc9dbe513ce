"""How a cascade is read from its file, with every problem and its place."""

from __future__ import annotations

from pathlib import Path

from pydantic import ValidationError

from cascade.cascade_yaml import MAX_BYTES, read_mapping
from cascade.config.cascade import CascadeConfig
from cascade.errors import ConfigError

_MAX_PROBLEMS = 100
"""Told of one file; a page can hold thousands."""


def parse(text: str, source: str) -> CascadeConfig:
    """Read a cascade from YAML. Raises ConfigError with every problem found, each with its place in the file."""
    try:
        return CascadeConfig.model_validate(read_mapping(text, source))
    except ValidationError as error:
        raise ConfigError(source, _problems(error)) from error


def load(path: Path) -> CascadeConfig:
    """Read a cascade file. Raises ConfigError."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
        # What is cut may end within a character, and is refused for its length.
        text = data.decode(errors="strict" if len(data) <= MAX_BYTES else "replace")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(str(path), [f"cannot be read: {error}"]) from error
    return parse(text, str(path))


def _problems(error: ValidationError) -> list[str]:
    found = [_problem(e["loc"], e["type"], e["msg"]) for e in error.errors(include_input=False, include_url=False)]
    left = len(found) - _MAX_PROBLEMS
    return found if left <= 0 else [*found[:_MAX_PROBLEMS], f"and {left} more problems"]


def _problem(location: tuple[int | str, ...], kind: str, message: str) -> str:
    place = ".".join(str(part) for part in location)
    if kind == "extra_forbidden":
        return f"{place}: unknown key; check its spelling or remove it"
    message = message.removeprefix("Value error, ")
    return f"{place}: {message}" if place else message
