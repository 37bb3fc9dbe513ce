"""Collects every broken rule of a request, so that its sender learns all of them at once."""

from __future__ import annotations

import re

from cascade.errors import InvalidInputError, Violation

_PLAIN_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_INDEX_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")


class Checks:
    """The violations found so far, in the order they were found."""

    def __init__(self) -> None:
        self._violations: list[Violation] = []

    def add(self, field: str, message: str) -> None:
        """`field` breaks a rule: `message` says what was found and what was expected."""
        self._violations.append(Violation(field, message))

    def require(self, holds: bool, field: str, message: str) -> None:
        """Add a violation unless the rule holds."""
        if not holds:
            self.add(field, message)

    def done(self) -> None:
        """Raises InvalidInputError with all that was found, or returns when nothing was."""
        if self._violations:
            raise InvalidInputError(self._violations)


def check_index_name(name: str, field: str, checks: Checks) -> None:
    """An index name is a folder's name, so it must be harmless as one."""
    if not name:
        checks.add(field, "is empty, expected the name of an index")
    elif not _INDEX_NAME.fullmatch(name):
        checks.add(
            field,
            f"found {quoted(name)}, expected lower-case letters, digits, _ and -, at most 63, "
            "beginning with a letter or digit",
        )


def key_path(path: str, key: str) -> str:
    """The path of `key` in the map at `path`: metadata.price, or metadata["a b"]."""
    return f"{path}.{key}" if _PLAIN_KEY.fullmatch(key) else f"{path}[{quoted(key)}]"


def quoted(text: str) -> str:
    """`text` in quotes for a message, with its end cut off when it is long."""
    return '"' + (text if len(text) <= 40 else text[:39] + "…") + '"'
