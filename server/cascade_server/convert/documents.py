"""Documents from the wire, each checked."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial

from cascade.types import Document, MetadataValue
from cascade_api.v1 import document_pb2
from cascade_server.convert.checks import Checks, key_path, quoted


def inline_documents(messages: Iterable[document_pb2.Document], checks: Checks, *, max_chars: int) -> list[Document]:
    """Documents of a rank request; one without an id is called by its position."""
    documents = [_document(i, m.doc_id or str(i), m, checks, max_chars) for i, m in enumerate(messages)]
    check_unique([d.doc_id for d in documents], checks)
    return documents


def stored_document(message: document_pb2.Document, position: int, checks: Checks, *, max_chars: int) -> Document:
    """A document to be kept in an index, the one at `position` of its upsert; it must have an id."""
    doc_id = message.doc_id
    if not doc_id:
        checks.add(f"documents[{position}].doc_id", "is empty, expected an id that is unique in the index")
    return _document(position, doc_id, message, checks, max_chars)


def check_unique(doc_ids: Sequence[str], checks: Checks) -> None:
    """No two documents of a request share an id; documents without one are another rule's matter."""
    if len(set(doc_ids)) == len(doc_ids):
        return
    first: dict[str, int] = {}
    for position, doc_id in enumerate(doc_ids):
        if doc_id and first.setdefault(doc_id, position) != position:
            checks.add(
                f"documents[{position}].doc_id",
                f"{quoted(doc_id)} is already the id of documents[{first[doc_id]}], expected each id once",
            )


def metadata_value(message: document_pb2.MetadataValue, field: Callable[[], str], checks: Checks) -> MetadataValue:
    """The value; 0 in place of one that breaks a rule, whose place `field` then names."""
    match message.WhichOneof("value"):
        case "string_value":
            return message.string_value
        case "int_value":
            return message.int_value
        case "bool_value":
            return message.bool_value
        case "double_value":
            number = message.double_value
            if not math.isfinite(number):
                checks.add(field(), f"found {number}, expected a finite number")
            return number
        case _:
            checks.add(field(), "has no value, expected a string, an integer, a number or a boolean")
            return 0


def _document(position: int, doc_id: str, message: document_pb2.Document, checks: Checks, max_chars: int) -> Document:
    # Every field is read once, and words are found only for a rule that is broken: each read of a message makes a new
    # string, and this is most of what a request with its own documents costs the event loop.
    text, title, metadata = message.text, message.title, message.metadata
    if (not text or text.isspace()) and (not title or title.isspace()):
        checks.add(f"documents[{position}]", "has neither text nor title, expected at least one")
    if len(text) + len(title) > max_chars:
        found = f"found {len(text) + len(title)} characters with the title, expected at most {max_chars}"
        checks.add(f"documents[{position}].text", found)
    return Document(doc_id, text, title, _metadata(position, metadata, checks) if metadata else {})


def _metadata(
    position: int, entries: Mapping[str, document_pb2.MetadataValue], checks: Checks
) -> Mapping[str, MetadataValue]:
    path = f"documents[{position}].metadata"
    return {key: metadata_value(value, partial(key_path, path, key), checks) for key, value in sorted(entries.items())}
