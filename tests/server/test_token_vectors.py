"""An index with token vectors, made and searched through a real server."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import grpc
import pytest

from cascade.config import parse
from cascade_api.v1 import index_pb2

pytestmark = pytest.mark.asyncio(loop_scope="session")

TEXTS = ("red apples are sweet", "green pears are sour and the tree that bears them is tall", "red brick walls")


def _order(response: Any) -> Sequence[str]:
    return [result.doc_id for result in response.results]


def _tokens(response: Any) -> int:
    return next(int(stage.tokens) for stage in response.trace if stage.kind == "late_interaction")


async def test_a_late_interaction_tier_reads_only_the_query_where_the_index_keeps_token_vectors(
    serve: Any, texts: Any, refused: Any, tiny_multi_vector: Path, tmp_path: Path
) -> None:
    tier = f"{{kind: late_interaction, model: {tiny_multi_vector}, depth: 10}}"
    cascade = parse(f"retrieve: [{{kind: bm25}}]\ntiers: [{tier}]", "late")
    async with serve(tmp_path, {"late": cascade}) as running:
        for name, model in (("kept", str(tiny_multi_vector)), ("read", "")):
            asked = index_pb2.CreateIndexRequest(name=name, token_vectors=model)
            assert (await running.indexes.CreateIndex(asked)).index.token_vectors == model
            index = (await running.upsert(name, texts(*TEXTS, named=True))).index
            assert (index.token_vectors, index.token_vector_bytes_per_document > 16) == (model, bool(model))
        kept, read = [await running.rank(cascade="late", index=name, query="red are") for name in ("kept", "read")]
        other = index_pb2.CreateIndexRequest(name="other", token_vectors="/tmp/model")
        refusal = await refused(running.indexes.CreateIndex(other))
    assert _order(kept) == _order(read)
    tokens = [_tokens(answer) for answer in (kept, read)]
    assert tokens[0] == 4 < tokens[1]
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "MODEL_LOAD")
    assert str(tiny_multi_vector) in refusal.message
