"""Reads documents from JSON lines, in BEIR's form or with doc_id, and names every line that is not one."""

from __future__ import annotations

import json
import math
import re
import sys
from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from cascade.errors import Violation
from cascade.types import Document, MetadataValue

STDIN = Path("-")
_SURROGATE = re.compile("[\ud800-\udfff]")  # JSON's \u can make them, and UTF-8 cannot hold them
_PATH = re.compile(r"documents\[(?P<position>\d+)\]\.?(?P<rest>.*)")
_KEYS = {"_id", "doc_id", "text", "title", "metadata"}


@dataclass(slots=True)
class Lines:
    """The documents of some files, the place FILE:LINE of each, and by their places the lines that are none."""

    documents: list[Document] = field(default_factory=list)
    places: list[str] = field(default_factory=list)
    problems: list[Violation] = field(default_factory=list)

    def place(self, path: str) -> str:
        """Where the document of a field path such as documents[3].text was read, with the rest of the path."""
        found = _PATH.fullmatch(path)
        if found is None or int(found["position"]) >= len(self.places):
            return path
        return " ".join(filter(None, (self.places[int(found["position"])], found["rest"])))


def read(paths: Iterable[Path]) -> Lines:
    """All documents of `paths`, of which "-" is standard input.

    A line is an object with `_id` or `doc_id`, `text`, and maybe `title`; whatever else it holds, or holds under
    `metadata`, is metadata, where null counts as absent. Blank lines are left out.
    """
    lines = Lines()
    seen: dict[str, str] = {}
    for place, line in _lines(paths):
        try:
            document = _document(line)
            if document.doc_id in seen:
                raise ValueError(f"the id {document.doc_id!r} is already that of {seen[document.doc_id]}")
        except ValueError as error:
            lines.problems.append(Violation(place, str(error)))
        else:
            seen[document.doc_id] = place
            lines.documents.append(document)
            lines.places.append(place)
    return lines


def _lines(paths: Iterable[Path]) -> Iterator[tuple[str, bytes]]:
    for path in paths:
        name = "<stdin>" if path == STDIN else str(path)
        with _open(path) as file:
            for number, line in enumerate(file, start=1):
                if line.strip():
                    yield f"{name}:{number}", line


def _open(path: Path) -> Any:
    stdin: BinaryIO = sys.stdin.buffer
    return nullcontext(stdin) if path == STDIN else path.open("rb")


def _document(line: bytes) -> Document:
    """Raises ValueError that says what was found and what was expected."""
    try:
        found = json.loads(line.decode("utf-8"), parse_constant=_not_finite)
    except UnicodeDecodeError as error:
        raise ValueError(f"not valid UTF-8: {error.reason} at byte {error.start}") from error
    except json.JSONDecodeError as error:
        raise ValueError(f"not valid JSON: {error.msg} at column {error.colno}") from error
    if not isinstance(found, dict):
        raise ValueError(f"found {_kind(found)}, expected an object with _id or doc_id, and text")
    doc_id = found.get("_id", found.get("doc_id"))
    if "_id" in found and "doc_id" in found and found["doc_id"] != doc_id:
        raise ValueError("found both _id and doc_id, and they differ; keep one")
    if not isinstance(doc_id, str | int) or isinstance(doc_id, bool) or doc_id == "":
        what = "an empty text" if doc_id == "" else _kind(doc_id)
        raise ValueError(f"found {what} as the id, expected a text that is not empty under _id or doc_id")
    text, title = _text(found, "text"), _text(found, "title")
    if not (text.strip() or title.strip()):
        raise ValueError("has neither text nor title, expected at least one")
    if not _storable(str(doc_id)):
        raise ValueError("the id holds half of a surrogate pair, expected valid Unicode")
    metadata = found.get("metadata") or {}
    if not isinstance(metadata, dict):
        raise ValueError(f"found {_kind(metadata)} as metadata, expected an object")
    others = {key: value for key, value in found.items() if key not in _KEYS}
    return Document(str(doc_id), text, title, _metadata({**others, **metadata}))


def _text(found: dict[str, Any], key: str) -> str:
    value = found.get(key)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise ValueError(f"found {_kind(value)} as {key}, expected a text")
    if not _storable(value):
        raise ValueError(f"{key} holds half of a surrogate pair, expected valid Unicode")
    return value


def _metadata(found: dict[str, Any]) -> dict[str, MetadataValue]:
    metadata: dict[str, MetadataValue] = {}
    for key, value in found.items():
        if _storable(key) and _storable(value):
            metadata[key] = value
        elif value is not None:
            raise ValueError(
                f"metadata {key!r} is {_kind(value)}, expected a valid text, a boolean, or a number of 64 bits"
            )
    return metadata


def _storable(value: object) -> bool:
    if isinstance(value, int):
        return -(2**63) <= value < 2**63
    if isinstance(value, str):
        return not _SURROGATE.search(value)
    return isinstance(value, float) and math.isfinite(value)


def _not_finite(name: str) -> float:
    raise ValueError(f"found {name}, expected a finite number")


def _kind(value: object) -> str:
    names = {dict: "an object", list: "an array", str: "a text", bool: "a boolean", type(None): "null"}
    return names.get(type(value), f"the number {value}")
