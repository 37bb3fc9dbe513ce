"""How two cascades differ, in their texts and in what they mean."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator
from itertools import zip_longest
from typing import Any

from cascade.config import CascadeConfig

_ABSENT = "absent"


def text_difference(before: str, after: str, before_name: str, after_name: str) -> str:
    """A unified diff, empty for equal texts."""
    lines = difflib.unified_diff(before.splitlines(), after.splitlines(), before_name, after_name, lineterm="")
    return "".join(f"{line}\n" for line in lines)


def changes(before: CascadeConfig, after: CascadeConfig) -> list[str]:
    """Every value that differs, such as `tiers.0.depth: 50 -> 100`; what a cascade leaves out has its default."""
    return list(_walk("", before.model_dump(mode="json"), after.model_dump(mode="json")))


def _walk(path: str, before: Any, after: Any) -> Iterator[str]:
    if before == after:
        return
    if isinstance(before, dict) and isinstance(after, dict):
        keys = [*before, *(key for key in after if key not in before)]
        parts = [(str(key), before.get(key, _Missing), after.get(key, _Missing)) for key in keys]
    elif isinstance(before, list) and isinstance(after, list):
        parts = [(str(i), *pair) for i, pair in enumerate(zip_longest(before, after, fillvalue=_Missing))]
    else:
        yield f"{path}: {_said(before)} -> {_said(after)}"
        return
    for key, old, new in parts:
        yield from _walk(f"{path}.{key}" if path else key, old, new)


class _Missing:
    """Stands for what one of the two does not have, which null could not: a cascade may say null."""


def _said(value: Any) -> str:
    return _ABSENT if value is _Missing else json.dumps(value, ensure_ascii=False)
