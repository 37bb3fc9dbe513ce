"""What a document must be to enter an index."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from cascade.errors import InvalidInputError, Violation
from cascade.types import Document


def check_documents(documents: Sequence[Document]) -> None:
    """Raises InvalidInputError that names every rule broken, with the path of the field."""
    seen: dict[str, int] = {}
    violations: list[Violation] = []
    for place, document in enumerate(documents):
        path = f"documents[{place}]"
        violations += (Violation(f"{path}.{field}", message) for field, message in _problems(document))
        first = seen.setdefault(document.doc_id, place)
        if first != place:
            message = (
                f"{document.doc_id!r} is the id of documents[{first}] already; give each document an id of its own"
            )
            violations.append(Violation(f"{path}.doc_id", message))
    if violations:
        raise InvalidInputError(violations)


def _problems(document: Document) -> Iterator[tuple[str, str]]:
    if not document.doc_id:
        yield "doc_id", "it is empty; give each document an id"
    if not document.passage.strip():
        yield "text", "text and title are both empty; at least one must not be"
    for field, text in (("doc_id", document.doc_id), ("title", document.title), ("text", document.text)):
        if not _is_unicode(text):
            yield field, "it is not valid Unicode: it holds a lone surrogate"
    for key, value in document.metadata.items():
        match value:
            case bool():
                problem = ""
            case int():
                problem = "" if -(2**63) <= value < 2**63 else f"found {value}, expected an integer of 64 bits"
            case float():
                problem = "" if math.isfinite(value) else f"found {value}, expected a finite number"
            case str():
                problem = "" if _is_unicode(value) else "it is not valid Unicode: it holds a lone surrogate"
            case _:
                problem = f"found {type(value).__name__}, expected str, int, float or bool"
        if problem:
            yield f"metadata.{key}", problem


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
