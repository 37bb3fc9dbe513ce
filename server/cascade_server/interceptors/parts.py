"""How many parts a message has, found out before protobuf makes an object of each.

Protobuf parses without letting any other thread run. 16 MB of ordinary documents take it 10 to 50 ms on one core, but
16 MB of empty ones, two bytes each, more than a second, in which nobody is answered. Counting is slower than parsing,
so only large messages are counted, in a thread: this code does let others run.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from functools import lru_cache

from google.protobuf.descriptor import Descriptor

from cascade.errors import InvalidInputError, Violation

MOST_PARTS = 250_000
"""Fields, those of nested messages included; parsing so many takes 10 ms."""
LARGE = 2 * MOST_PARTS
"""Bytes, up to which a message cannot have more: each takes two at least."""

_VARINT, _LENGTH_DELIMITED = 0, 2
_FIXED = {1: 8, 5: 4}
"""Bytes, by wire type."""


async def check_parts(data: bytes, message: Descriptor) -> None:
    """Raises InvalidInputError for bytes of a `message` that would take long to parse."""
    if len(data) > LARGE and await asyncio.to_thread(more_parts_than, MOST_PARTS, data, message):
        found = f"has more than {MOST_PARTS:,} parts in {len(data):,} bytes, expected at most that many"
        raise InvalidInputError([Violation("request", f"{found}; send it as several")])


def more_parts_than(most: int, data: bytes, message: Descriptor) -> bool:
    """Whether there are more fields than `most` in `data`; False also for bytes that no message has."""
    left = most
    levels = [(0, len(data), message)]
    try:
        while levels:
            at, end, kind = levels.pop()
            nested = _nested(kind)
            while at < end:
                left -= 1
                if left < 0:
                    return True
                # Nearly every number is one byte: a call for each would take most of the time.
                tag = data[at]
                tag, at = (tag, at + 1) if tag < 128 else _varint(data, at)
                wire_type = tag & 7
                if wire_type == _LENGTH_DELIMITED:
                    size = data[at]
                    size, at = (size, at + 1) if size < 128 else _varint(data, at)
                    inner = nested.get(tag >> 3)
                    if inner is not None and size:
                        levels.append((at, min(at + size, end), inner))
                    at += size
                elif wire_type == _VARINT:
                    _, at = _varint(data, at)
                elif wire_type in _FIXED:
                    at += _FIXED[wire_type]
    except IndexError:  # a number that the bytes end within
        return False
    return False


@lru_cache
def _nested(message: Descriptor) -> Mapping[int, Descriptor]:
    """The fields of `message` that hold messages."""
    return {n: field.message_type for n, field in message.fields_by_number.items() if field.message_type is not None}


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """The number that begins at `at`, and where it ends."""
    byte = data[at]
    if byte < 128:
        return byte, at + 1
    value, shift = byte & 127, 7
    while True:
        at += 1
        byte = data[at]
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at + 1
        shift += 7
        if shift > 63:
            raise IndexError("no number has so many bytes")
