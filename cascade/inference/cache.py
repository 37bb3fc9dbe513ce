"""A cache that is bounded by the bytes it really takes, and forgets first what was longest unused."""

from __future__ import annotations

import dataclasses
import sys
import threading
from collections import OrderedDict
from collections.abc import Hashable
from typing import Any, Generic, TypeVar

import numpy as np

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

_ALIGNED = 16  # bytes in whose multiples memory is given out


@dataclasses.dataclass(frozen=True, slots=True)
class CacheStats:
    """What a cache did since it was made, and what it takes now."""

    name: str
    hits: int
    misses: int
    evictions: int
    bytes: int
    entries: int


class ByteCache(Generic[K, V]):
    """At no time more than `max_bytes`, with its table; an entry that would need more for itself is not kept.

    Many threads may use it. Its values are shared by all who get them: nobody may change one.
    """

    def __init__(self, name: str, max_bytes: int) -> None:
        self.name = name
        self.max_bytes = max_bytes
        self._entries: OrderedDict[K, V] = OrderedDict()
        self._content = 0
        self._hits = self._misses = self._evictions = 0
        self._lock = threading.Lock()

    def get(self, key: K) -> V | None:
        """The value of `key`, which is now the last to be forgotten; None where there is none."""
        with self._lock:
            found = self._entries.get(key)
            if found is None:
                self._misses += 1
            else:
                self._hits += 1
                self._entries.move_to_end(key)
            return found

    def holds(self, key: K) -> bool:
        """Whether there is a value of `key`; no use of it, and counted nowhere."""
        with self._lock:
            return key in self._entries

    def put(self, key: K, value: V) -> None:
        """Keep `value`, forgetting what was longest unused as far as its room is needed."""
        size = size_of(key) + size_of(value)
        with self._lock:
            if (old := self._entries.pop(key, None)) is not None:
                self._content -= size_of(key) + size_of(old)
            if size <= self.max_bytes:
                self._entries[key] = value
                self._content += size
            while self._entries and self._bytes > self.max_bytes:
                gone = self._entries.popitem(last=False)
                self._content -= size_of(gone[0]) + size_of(gone[1])
                self._evictions += 1
            if not self._entries:
                self._entries = OrderedDict()  # the table of one that was full stays as large as it was

    @property
    def stats(self) -> CacheStats:
        """As of now."""
        with self._lock:
            taken = self._bytes if self._entries else 0
            return CacheStats(self.name, self._hits, self._misses, self._evictions, taken, len(self._entries))

    @property
    def _bytes(self) -> int:
        """Of the entries and of the table, which grows by leaps."""
        return self._content + sys.getsizeof(self._entries)


def size_of(value: Any) -> int:
    """The bytes that a value takes: a number, text, bytes, an array, or a tuple or dataclass of such.

    An array that is a view takes what it is a view of; of memory that is no array's, as a tensor's, what it shows.
    """
    own = -(-sys.getsizeof(value) // _ALIGNED) * _ALIGNED
    if isinstance(value, np.ndarray):
        if isinstance(value.base, np.ndarray | bytes):
            return own + size_of(value.base)
        return own + _ALIGNED + (0 if value.base is None else value.nbytes)
    if isinstance(value, tuple):
        return own + sum(map(size_of, value))
    if dataclasses.is_dataclass(value):
        return own + sum(size_of(getattr(value, field.name)) for field in dataclasses.fields(value))
    return own
