"""Writes come one after another, hinder no search, and end whole or not at all."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from cascade.errors import NotFoundError
from cascade.index.info import Vectors
from cascade.types import Document
from cascade_server.errors import UnavailableError
from cascade_server.indexes import Indexes
from cascade_server.metrics import IndexSizes


class GatedEncoder:
    """Vectors of letter counts, given out only while the gate is open."""

    reference = "letters"
    dimensions = 4

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.gate.set()
        self.asked = threading.Event()

    def encode_documents(self, passages: Sequence[str]) -> Vectors:
        self.asked.set()
        self.gate.wait()
        counts = np.array([[1 + p.count(letter) for letter in "aeio"] for p in passages], dtype=np.float32)
        return counts / np.linalg.norm(counts, axis=1, keepdims=True)

    async def busy(self) -> None:
        """Return once a call waits at the gate."""
        await asyncio.to_thread(self.asked.wait)


@pytest.fixture
def encoder() -> GatedEncoder:
    return GatedEncoder()


@pytest.fixture
async def indexes(tmp_path: Path, encoder: GatedEncoder) -> AsyncIterator[Indexes]:
    found = Indexes(tmp_path, lambda _tenant, _reference: encoder, IndexSizes())
    await found.create("acme", "fruit", "letters")
    await found.upsert("acme", "fruit", [Document("old", "an old apple")])
    encoder.asked.clear()
    yield found
    encoder.gate.set()
    await found.aclose()


async def ids(indexes: Indexes) -> list[str]:
    index = await indexes.open("acme", "fruit")
    return sorted(doc_id for doc_id, _ in index.snapshot.bm25("apple", 10, None))


async def test_a_search_does_not_wait_for_a_write(indexes: Indexes, encoder: GatedEncoder) -> None:
    encoder.gate.clear()
    writing = asyncio.create_task(indexes.upsert("acme", "fruit", [Document("new", "a new apple")]))
    await encoder.busy()
    assert await ids(indexes) == ["old"]
    encoder.gate.set()
    assert (await writing).added == 1
    assert await ids(indexes) == ["new", "old"]


async def test_writes_to_one_index_take_turns(indexes: Indexes, encoder: GatedEncoder) -> None:
    encoder.gate.clear()
    first = asyncio.create_task(indexes.upsert("acme", "fruit", [Document("new", "a new apple")]))
    await encoder.busy()
    second = asyncio.create_task(indexes.delete("acme", "fruit", ["new"]))
    await indexes.create("acme", "other", "letters")
    assert not second.done()
    encoder.gate.set()
    assert ((await first).added, (await second).deleted) == (1, 1)
    assert await ids(indexes) == ["old"]


async def test_a_write_whose_caller_leaves_goes_on_to_its_end(indexes: Indexes, encoder: GatedEncoder) -> None:
    encoder.gate.clear()
    writing = asyncio.create_task(indexes.upsert("acme", "fruit", [Document("new", "a new apple")]))
    await encoder.busy()
    writing.cancel()
    await asyncio.wait({writing})
    after = asyncio.create_task(indexes.delete("acme", "fruit", ["nothing"]))
    encoder.gate.set()
    assert (await after).deleted == 0
    assert await ids(indexes) == ["new", "old"]


async def test_a_write_whose_caller_leaves_before_its_turn_is_dropped(indexes: Indexes, encoder: GatedEncoder) -> None:
    encoder.gate.clear()
    first = asyncio.create_task(indexes.upsert("acme", "fruit", [Document("new", "a new apple")]))
    await encoder.busy()
    second = asyncio.create_task(indexes.upsert("acme", "fruit", [Document("late", "a late apple")]))
    while len(indexes._writing) < 2:  # noqa: ASYNC110  # it waits for its turn
        await asyncio.sleep(0.001)
    second.cancel()
    await asyncio.wait({second})
    encoder.gate.set()
    await first
    await indexes.delete("acme", "fruit", ["nothing"])
    assert await ids(indexes) == ["new", "old"]


async def test_closing_ends_a_write_that_nobody_waits_for_and_keeps_the_index_whole(
    indexes: Indexes, encoder: GatedEncoder, tmp_path: Path
) -> None:
    encoder.gate.clear()
    writing = asyncio.create_task(indexes.upsert("acme", "fruit", [Document("new", "a new apple")]))
    await encoder.busy()
    closing = asyncio.create_task(indexes.aclose())
    await asyncio.sleep(0)
    encoder.gate.set()
    await closing
    with pytest.raises(UnavailableError, match="stopping"):
        await writing
    again = Indexes(tmp_path, lambda _tenant, _reference: encoder, IndexSizes())
    assert await ids(again) == ["old"]
    assert (await again.upsert("acme", "fruit", [Document("new", "a new apple")])).added == 1
    await again.aclose()


async def test_tenants_have_indexes_of_their_own(indexes: Indexes) -> None:
    with pytest.raises(NotFoundError):
        await indexes.open("beta", "fruit")
    await indexes.create("beta", "fruit", "letters")
    assert [info.documents for info in await indexes.list("beta")] == [0]
    assert [info.documents for info in await indexes.list("acme")] == [1]


async def test_the_metrics_know_what_was_there_before_the_start(tmp_path: Path, indexes: Indexes) -> None:
    sizes = IndexSizes()
    later = Indexes(tmp_path, lambda _tenant, _reference: GatedEncoder(), sizes)
    await later.measure("acme")
    (family,) = sizes.collect()
    assert [(s.labels, s.value) for s in family.samples] == [({"tenant": "acme", "index": "fruit"}, 1)]
    await later.aclose()
