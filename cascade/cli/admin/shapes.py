"""What the commands of `cascade admin` print as JSON: the client's values, with times in ISO 8601."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import Any


def shape(value: Any) -> Any:
    """A value of the client, or a tuple of them."""
    if isinstance(value, tuple | list):
        return [shape(one) for one in value]
    return _plain(asdict(value))


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(inner) for inner in value]
    return value.isoformat() if isinstance(value, datetime) else value
