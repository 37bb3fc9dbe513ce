"""A server that remembers: the same answers for nothing, of each tenant apart, and measured."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from cascade.config import parse
from cascade_api.v1 import index_pb2
from cascade_server.control.store import Store

pytestmark = pytest.mark.asyncio(loop_scope="session")


def _scores(answer: Any) -> Mapping[str, float]:
    return {result.doc_id: result.score for result in answer.results}


def _stages(answer: Any) -> Mapping[str, tuple[int, bool]]:
    """Of every stage with a model how many were remembered, and whether anything was read."""
    return {t.stage: (t.cached, t.tokens > 0) for t in answer.trace if t.stage in ("dense", "cross_encoder")}


async def test_what_was_asked_before_costs_nothing_until_a_document_changes(
    serve: Any, texts: Any, tiny_cross_encoder: Path, tmp_path: Path
) -> None:
    tier = f"{{kind: cross_encoder, model: {tiny_cross_encoder}, depth: 10}}"
    cascade = parse(f"retrieve: [{{kind: bm25}}, {{kind: dense}}]\ntiers: [{tier}]", "both")
    async with serve(tmp_path, {"both": cascade}, cache_mb=1) as running:
        await running.indexes.CreateIndex(index_pb2.CreateIndexRequest(name="fruit"))
        await running.upsert("fruit", texts("red apples are sweet", "green pears", "red brick walls", named=True))
        first, again = [await running.rank(cascade="both", index="fruit") for _ in range(2)]
        await running.upsert("fruit", texts("red apples are sour", named=True))
        after = await running.rank(cascade="both", index="fruit")
        metrics = {
            what: await running.metric(f"cascade_cache_{what}", cache="scores")
            for what in ("hits_total", "misses_total", "evictions_total", "bytes")
        }
        (usage,) = [row async for row in _usage(running, tmp_path)]
    assert _scores(again) == _scores(first)
    assert _stages(first) == {"dense": (0, True), "cross_encoder": (0, True)}
    assert _stages(again) == {"dense": (1, False), "cross_encoder": (3, False)}
    assert _stages(after) == {"dense": (1, False), "cross_encoder": (2, True)}
    assert {d: s for d, s in _scores(after).items() if d != "d0"} == pytest.approx(
        {d: s for d, s in _scores(first).items() if d != "d0"}
    )
    assert metrics == {"hits_total": 5, "misses_total": 4, "evictions_total": 0, "bytes": metrics["bytes"]}
    assert 0 < metrics["bytes"] < 2**19
    assert usage == sum(t.tokens for answer in (first, after) for t in answer.trace)


async def _usage(running: Any, folder: Path) -> Any:
    await running.server._usage.flush()
    store = Store(f"sqlite:///{folder / 'control.db'}")
    try:
        for row in store.usage(None):
            yield row.tokens
    finally:
        store.close()


async def test_the_token_ids_of_an_index_are_read_instead_of_its_texts(
    serve: Any, texts: Any, tiny_cross_encoder: Path, tmp_path: Path
) -> None:
    tier = f"{{kind: cross_encoder, model: {tiny_cross_encoder}, depth: 10}}"
    cascade = parse(f"retrieve: [{{kind: bm25}}]\ntiers: [{tier}]", "words")
    found = texts("red apples are sweet", "green pears and red ones", "red brick walls", named=True)
    async with serve(tmp_path, {"words": cascade}, cache_mb=1) as running:
        await running.indexes.CreateIndex(index_pb2.CreateIndexRequest(name="fruit"))
        size = (await running.upsert("fruit", found)).index.token_id_bytes_per_document
        kept = await running.rank(cascade="words", index="fruit")
        looked_up = await running.metric("cascade_cache_misses_total", cache="token_ids")
        inline = await running.rank(cascade="words", documents=found, query="red  apples")
        made = await running.metric("cascade_cache_misses_total", cache="token_ids")
    assert size == (4 + 6 + 3) * 2 / 3 + 4 + 8 * 4 / 3  # "pears" is two tokens
    assert (looked_up, made) == (0, 3)
    assert _scores(kept) == pytest.approx(_scores(inline), abs=1e-5)


async def test_without_room_nothing_is_remembered(plain: Any, library: Any) -> None:
    first, again = [await library.rank(cascade="meaning", index="fruit") for _ in range(2)]
    assert [_stages(answer) for answer in (first, again)] == [{"dense": (0, True)}] * 2
    assert await plain.metric("cascade_cache_bytes", cache="scores") == 0
