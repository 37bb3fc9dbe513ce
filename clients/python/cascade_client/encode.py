"""From the client's values to messages; what cannot be written as one is refused with its field path."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager

from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message

from cascade_api.v1 import document_pb2, quota_pb2
from cascade_client.errors import InvalidArgumentError, Violation
from cascade_client.filters import And, Comparison, Filter, Not, Or
from cascade_client.options import DocumentLike
from cascade_client.types import Document, Priority, Quota

_KEYS = ("doc_id", "text", "title", "metadata")
_PLAIN_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_INT64 = range(-(2**63), 2**63)
_OPERATORS = {
    "eq": document_pb2.COMPARISON_OPERATOR_EQ,
    "ne": document_pb2.COMPARISON_OPERATOR_NE,
    "lt": document_pb2.COMPARISON_OPERATOR_LT,
    "le": document_pb2.COMPARISON_OPERATOR_LE,
    "gt": document_pb2.COMPARISON_OPERATOR_GT,
    "ge": document_pb2.COMPARISON_OPERATOR_GE,
    "in": document_pb2.COMPARISON_OPERATOR_IN,
}
_PRIORITIES = {
    Priority.HIGH: quota_pb2.PRIORITY_HIGH,
    Priority.NORMAL: quota_pb2.PRIORITY_NORMAL,
    Priority.LOW: quota_pb2.PRIORITY_LOW,
}


def refuse(path: str, message: str) -> InvalidArgumentError:
    """The error for one value, at `path`, that no message can hold."""
    return InvalidArgumentError.of([Violation(path, message)])


def assign(message: Message, **values: object) -> None:
    """Set fields of a message. Raises InvalidArgumentError for the first value that does not fit its field."""
    for name, value in values.items():
        with fits(name):
            setattr(message, name, value)


@contextmanager
def fits(path: str) -> Iterator[None]:
    """Raise InvalidArgumentError for `path` when protobuf refuses what is written inside."""
    try:
        yield
    except UnicodeEncodeError as error:
        raise refuse(path, f"not valid UTF-8: {error.reason} at character {error.start}") from error
    except (TypeError, ValueError, OverflowError) as error:
        raise refuse(path, str(error)) from error


def documents(values: Iterable[DocumentLike]) -> list[document_pb2.Document]:
    """Inline documents, in order. Raises InvalidArgumentError that names every one that cannot be written."""
    messages: list[document_pb2.Document] = []
    violations: list[Violation] = []
    if isinstance(values, str | Mapping):
        raise refuse("documents", "found one document, expected a list of them")
    for position, value in enumerate(values):
        try:
            messages.append(document(value, f"documents[{position}]"))
        except InvalidArgumentError as error:
            violations += error.violations
    if violations:
        raise InvalidArgumentError.of(violations)
    return messages


def document(value: DocumentLike, path: str) -> document_pb2.Document:
    """One document. Raises InvalidArgumentError with paths that begin with `path`."""
    if isinstance(value, str):
        value = Document("", value)
    elif isinstance(value, Mapping):
        unknown = [str(key) for key in value if key not in _KEYS]
        if unknown:
            raise refuse(path, f"found the keys {', '.join(unknown)}, expected only {', '.join(_KEYS)}")
        value = Document(**{"doc_id": "", "text": "", **value})
    elif not isinstance(value, Document):
        raise refuse(path, f"found {type(value).__name__}, expected a text, a Document or a mapping")
    message = document_pb2.Document()
    for name, text in (("doc_id", value.doc_id), ("text", value.text), ("title", value.title)):
        with fits(f"{path}.{name}"):
            setattr(message, name, text)
    if not isinstance(value.metadata, Mapping):
        raise refuse(f"{path}.metadata", f"found {type(value.metadata).__name__}, expected a mapping")
    for key, scalar in value.metadata.items():
        place = f"{path}.metadata.{key}" if _PLAIN_KEY.fullmatch(str(key)) else f'{path}.metadata["{key}"]'
        converted = metadata_value(scalar, place)
        with fits(place):
            message.metadata[key].CopyFrom(converted)
    return message


def metadata_value(value: object, path: str) -> document_pb2.MetadataValue:
    """One value of metadata or of a comparison. Raises InvalidArgumentError for any but the four types."""
    message = document_pb2.MetadataValue()
    match value:
        case bool():
            message.bool_value = value
        case int() if value in _INT64:
            message.int_value = value
        case int():
            raise refuse(path, f"found {value}, expected an integer of 64 bits")
        case float():
            message.double_value = value
        case str():
            with fits(path):
                message.string_value = value
        case _:
            raise refuse(path, f"found {type(value).__name__}, expected a string, number or boolean")
    return message


def condition(where: Filter, path: str = "filter") -> document_pb2.Filter:
    """A filter. Raises InvalidArgumentError."""
    match where:
        case And(parts):
            inner = [condition(p, f"{path}.all_of.filters[{i}]") for i, p in enumerate(parts)]
            return document_pb2.Filter(all_of=document_pb2.FilterList(filters=inner))
        case Or(parts):
            inner = [condition(p, f"{path}.any_of.filters[{i}]") for i, p in enumerate(parts)]
            return document_pb2.Filter(any_of=document_pb2.FilterList(filters=inner))
        case Not(part):
            return document_pb2.Filter(negated=condition(part, f"{path}.negated"))
        case Comparison(field, op, values):
            place = f"{path}.comparison"
            message = document_pb2.Comparison(operator=_OPERATORS[op])
            with fits(f"{place}.field"):
                message.field = field
            message.values.extend(metadata_value(v, f"{place}.values[{i}]") for i, v in enumerate(values))
            return document_pb2.Filter(comparison=message)
    raise refuse(path, f"found {type(where).__name__}, expected a Filter")


def quota(value: Quota) -> quota_pb2.Quota:
    """What a tenant may use. Raises InvalidArgumentError for the first number that does not fit its field."""
    message = quota_pb2.Quota(priority=_PRIORITIES[Priority(value.priority)])
    limits = {name: getattr(value, name) for name in value.__dataclass_fields__ if name != "priority"}
    assign(message, **{name: limit for name, limit in limits.items() if limit is not None})
    return message


def duration(seconds: float, path: str) -> Duration:
    """A span of time. Raises InvalidArgumentError unless it is a finite number."""
    message = Duration()
    with fits(path):
        message.FromNanoseconds(round(seconds * 1e9))
    return message
