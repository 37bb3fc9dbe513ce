"""Caches: bounded by bytes, and no more than a plain cache that forgets what was longest unused."""

from __future__ import annotations

import sys
import threading
import tracemalloc
from collections import OrderedDict

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from cascade.inference.cache import ByteCache, size_of
from cascade.stages import TokenisedText

KEYS = st.integers(0, 40)
STEPS = st.lists(st.tuples(st.sampled_from(["get", "put", "holds"]), KEYS, st.integers(0, 400)), max_size=200)


class PlainLru:
    """The same promise in the plainest way: everything is added up anew each time."""

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self.entries: OrderedDict[int, bytes] = OrderedDict()

    def get(self, key: int) -> bytes | None:
        if key in self.entries:
            self.entries.move_to_end(key)
        return self.entries.get(key)

    def put(self, key: int, value: bytes) -> None:
        self.entries.pop(key, None)
        if size_of(key) + size_of(value) <= self.max_bytes:
            self.entries[key] = value
        while self.entries and self.bytes > self.max_bytes:
            self.entries.popitem(last=False)
        if not self.entries:
            self.entries = OrderedDict()

    @property
    def bytes(self) -> int:
        return sys.getsizeof(self.entries) + sum(size_of(k) + size_of(v) for k, v in self.entries.items())


@given(STEPS, st.integers(0, 6000))
def test_it_holds_what_a_plain_one_holds_and_never_more_bytes_than_it_may(
    steps: list[tuple[str, int, int]], max_bytes: int
) -> None:
    cache: ByteCache[int, bytes] = ByteCache("test", max_bytes)
    plain = PlainLru(max_bytes)
    hits = misses = 0
    for what, key, size in steps:
        if what == "put":
            cache.put(key, bytes(size))
            plain.put(key, bytes(size))
        elif what == "holds":
            assert cache.holds(key) == (key in plain.entries)
        else:
            found = plain.get(key)
            assert cache.get(key) == found
            hits, misses = hits + (found is not None), misses + (found is None)
        stats = cache.stats
        assert (stats.hits, stats.misses, stats.entries) == (hits, misses, len(plain.entries))
        assert stats.bytes == (plain.bytes if plain.entries else 0)
        assert stats.bytes <= max_bytes


def test_what_was_used_last_is_forgotten_last() -> None:
    cache: ByteCache[str, bytes] = ByteCache("test", 3000)
    for key in "abcdef":
        cache.put(key, bytes(100))
        cache.get("a")
    for number in range(100):
        cache.put(str(number), bytes(100))
        cache.get("a")
    assert cache.get("a") == bytes(100)
    assert cache.get("b") is None
    assert cache.stats.evictions == 106 - cache.stats.entries


def test_its_bytes_are_those_that_the_interpreter_gives_out() -> None:
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        cache: ByteCache[bytes, tuple[np.ndarray, int] | bytes] = ByteCache("test", 4_000_000)
        for n in range(30_000):
            cache.put(n.to_bytes(16, "little"), bytes(bytearray(16)) if n % 3 else (np.full(50, n, np.float32), n))
        taken = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    stats = cache.stats
    assert stats.evictions > 0
    assert stats.bytes <= 4_000_000
    assert taken == pytest.approx(stats.bytes, rel=0.1)


def test_an_entry_of_another_size_takes_the_place_of_the_one_before() -> None:
    cache: ByteCache[str, bytes] = ByteCache("test", 10_000)
    cache.put("a", bytes(5000))
    cache.put("a", bytes(10))
    assert cache.stats.bytes < 1000
    cache.put("a", bytes(20_000))
    assert (cache.get("a"), cache.stats.bytes, cache.stats.entries) == (None, 0, 0)


def test_a_view_takes_what_it_is_a_view_of() -> None:
    whole = np.zeros(100_000, dtype=np.float32)
    assert size_of(whole[:2]) > whole.nbytes
    assert size_of(whole[:2].copy()) < 300
    assert size_of(TokenisedText(whole.view(np.uint32), 7)) > whole.nbytes


def test_memory_that_another_library_gave_out_is_counted() -> None:
    whole = torch.zeros(500, 128).numpy()
    assert size_of(whole) >= whole.nbytes
    assert size_of(whole[:3]) >= whole.nbytes


def test_many_threads_may_use_it() -> None:
    cache: ByteCache[int, bytes] = ByteCache("test", 20_000)

    def work(seed: int) -> None:
        for n in range(2000):
            key = (n * seed) % 97
            assert cache.get(key) in (None, bytes(key))
            cache.put(key, bytes(key))

    threads = [threading.Thread(target=work, args=(seed,)) for seed in (1, 3, 5, 7)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    stats = cache.stats
    assert stats.hits + stats.misses == 8000
    assert stats.bytes <= 20_000
