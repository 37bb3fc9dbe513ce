"""Documents from the wire, each checked."""

from __future__ import annotations

import math
from collections.abc import Iterable

from cascade.types import Document, MetadataValue
from cascade_api.v1 import document_pb2
from cascade_server.convert.checks import Checks, key_path, quoted


def inline_documents(messages: Iterable[document_pb2.Document], checks: Checks, *, max_chars: int) -> list[Document]:
    """Documents of a rank request; one without an id is called by its position."""
    named = [(f"documents[{i}]", m.doc_id or str(i), m) for i, m in enumerate(messages)]
    documents = [_document(path, doc_id, m, checks, max_chars) for path, doc_id, m in named]
    check_unique((d.doc_id for d in documents), checks)
    return documents


def stored_document(message: document_pb2.Document, position: int, checks: Checks, *, max_chars: int) -> Document:
    """A document to be kept in an index, the one at `position` of its upsert; it must have an id."""
    path = f"documents[{position}]"
    checks.require(bool(message.doc_id), f"{path}.doc_id", "is empty, expected an id that is unique in the index")
    return _document(path, message.doc_id, message, checks, max_chars)


def check_unique(doc_ids: Iterable[str], checks: Checks) -> None:
    """No two documents of a request share an id; documents without one are another rule's matter."""
    first: dict[str, int] = {}
    for position, doc_id in enumerate(doc_ids):
        if doc_id and first.setdefault(doc_id, position) != position:
            checks.add(
                f"documents[{position}].doc_id",
                f"{quoted(doc_id)} is already the id of documents[{first[doc_id]}], expected each id once",
            )


def metadata_value(message: document_pb2.MetadataValue, field: str, checks: Checks) -> MetadataValue:
    """The value; 0 in place of one that breaks a rule."""
    match message.WhichOneof("value"):
        case "string_value":
            return message.string_value
        case "int_value":
            return message.int_value
        case "bool_value":
            return message.bool_value
        case "double_value":
            number = message.double_value
            checks.require(math.isfinite(number), field, f"found {number}, expected a finite number")
            return number
        case _:
            checks.add(field, "has no value, expected a string, an integer, a number or a boolean")
            return 0


def _document(path: str, doc_id: str, message: document_pb2.Document, checks: Checks, max_chars: int) -> Document:
    chars = len(message.text) + len(message.title)
    checks.require(
        bool(message.text.strip() or message.title.strip()), path, "has neither text nor title, expected at least one"
    )
    checks.require(
        chars <= max_chars, f"{path}.text", f"found {chars} characters with the title, expected at most {max_chars}"
    )
    metadata = {
        key: metadata_value(value, key_path(f"{path}.metadata", key), checks)
        for key, value in sorted(message.metadata.items())
    }
    return Document(doc_id, message.text, message.title, metadata)
