"""The kinds that read logits, on the embedded language model, from a cascade's file to its answer."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from cascade.answer import Answer
from cascade.budget import Budget
from cascade.build import Models, bind_documents, build_cascade
from cascade.config import parse
from cascade.inference.scored import PROBE, PROBE_ANSWER, PROBE_OTHER
from cascade.trace import StageStatus
from cascade.types import Document, Query

KINDS = ("logits", "setwise", "tournament")
TEXTS = {"a": PROBE_OTHER, "b": "The bus leaves at nine.", "c": PROBE_ANSWER}


@pytest.fixture(scope="session")
def models() -> Iterator[Models]:
    """The embedded language model, loaded by the first kind that asks for it."""
    made = Models(device="cpu")
    yield made
    asyncio.run(made.aclose())


async def answer(models: Models, kind: str, doc_ids: str) -> Answer:
    config = parse(f"{{retrieve: [{{kind: given}}], tiers: [{{kind: {kind}, depth: 5}}]}}", "cascade")
    documents = [Document(doc_id, TEXTS[doc_id]) for doc_id in doc_ids]
    cascade = build_cascade("test", config, models)
    await cascade.warm_up()
    return await cascade.rank(Query(PROBE), bind_documents(config, documents, models), top_k=5, budget=Budget())


@pytest.mark.parametrize("kind", KINDS)
async def test_the_answer_of_the_known_pair_is_put_first(models: Models, kind: str) -> None:
    found = await answer(models, kind, "ac")
    assert found.ranking.doc_ids == ["c", "a"]
    assert not found.degraded


@pytest.mark.parametrize("kind", KINDS)
async def test_every_document_has_a_place_and_the_trace_says_what_was_read(models: Models, kind: str) -> None:
    found = await answer(models, kind, "abc")
    tier = found.trace[-1]
    assert sorted(found.ranking.doc_ids) == list("abc")
    assert (tier.kind, tier.status, tier.repairs) == (kind, StageStatus.COMPLETED, 0)
    assert tier.tokens > 100
    assert tier.backend.startswith("torch-")
    assert [status.kind for status in models.status()] == ["language_model"]
