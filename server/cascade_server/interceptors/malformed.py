"""Requests whose bytes are no valid message: found out when they are read, and named by field."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from google.protobuf import descriptor_pool
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.empty_pb2 import Empty
from google.protobuf.message import DecodeError
from google.protobuf.unknown_fields import UnknownFieldSet

from cascade.errors import InvalidInputError, Violation

_LENGTH_DELIMITED = 2
_MOST_PARTS = 20_000
"""Fields looked at, whole messages and their parts: this runs on the event loop, and a message holds millions."""


@dataclass(frozen=True, slots=True)
class Malformed:
    """Stands in for a request that could not be read, because gRPC would answer UNKNOWN for an error raised there."""

    error: InvalidInputError


def tolerant(deserialize: Callable[[bytes], Any], method: str) -> Callable[[bytes], Any]:
    """`deserialize` for the RPC `/service/name`, which returns Malformed instead of raising DecodeError."""

    def read(data: bytes) -> Any:
        try:
            return deserialize(data)
        except DecodeError as error:
            return Malformed(_explain(data, input_type(method), error))

    return read


def _explain(data: bytes, message: Descriptor, error: DecodeError) -> InvalidInputError:
    violations = [
        Violation(path, "is not valid UTF-8, expected text in UTF-8")
        for path in _broken_strings(data, message, "", iter(range(_MOST_PARTS)))
    ]
    return InvalidInputError(violations or [Violation("request", f"cannot be read: {error}")])


def _broken_strings(data: bytes, message: Descriptor, prefix: str, looks: Iterator[int]) -> Iterator[str]:
    """The paths of the string fields in `data` that are no UTF-8; nothing for bytes that are no message at all.

    Every field takes one of `looks`, and the search ends with them.
    """
    reader = Empty()
    try:
        reader.ParseFromString(data)
    except DecodeError:
        return
    seen: dict[int, int] = {}
    parts = UnknownFieldSet(reader)
    for _, part in zip(looks, (parts[i] for i in range(len(parts))), strict=False):
        field: FieldDescriptor | None = message.fields_by_number.get(part.field_number)
        if field is None or part.wire_type != _LENGTH_DELIMITED:
            continue
        position = seen[field.number] = seen.get(field.number, -1) + 1
        path = f"{prefix}{field.name}" + (f"[{position}]" if field.is_repeated else "")
        if field.type == FieldDescriptor.TYPE_STRING and not _is_utf8(part.data):
            yield path
        elif field.type == FieldDescriptor.TYPE_MESSAGE and field.message_type is not None:
            yield from _broken_strings(part.data, field.message_type, f"{path}.", looks)


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def input_type(method: str) -> Descriptor:
    """What the RPC `/service/name` is asked with."""
    service, name = method.strip("/").split("/")
    return descriptor_pool.Default().FindServiceByName(service).methods_by_name[name].input_type
