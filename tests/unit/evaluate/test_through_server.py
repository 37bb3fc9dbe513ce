"""A collection is indexed in a live server and evaluated through it, as a person would who has only its address."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from cascade.config import CascadeConfig, parse
from cascade.errors import InvalidInputError, NotFoundError
from cascade.evaluate.candidates import with_judged, with_run
from cascade.evaluate.collection import Candidates, Collection
from cascade.evaluate.collection_index import Wanted, index_name, index_through_server
from cascade.evaluate.serving import encoder_of, known_cascade, serving, with_room
from cascade.evaluate.through_server import Setup, evaluate
from cascade.types import Document
from cascade_client import AsyncClient
from cascade_server.settings import Settings

SETUP = Setup(cascade="plain", index="fruit")
DOCUMENTS = tuple(Document(f"d{n}", "apple " * n + "and " * (20 - n)) for n in range(1, 13))
COLLECTION = Collection(
    name="fruit",
    split="test",
    documents=DOCUMENTS,
    queries={"q": "apple"},
    qrels={"q": {"d12": 1, "d1": 1}},
    excluded={"q": frozenset({"d11"})},
    notes=("as it is",),
)


def cascade(depth: int = 12, fused: int = 4) -> CascadeConfig:
    return parse(
        f"{{retrieve: [{{kind: bm25, depth: {depth}}}], fuse: {{kind: rrf, depth: {fused}}}, "
        "tiers: [{kind: identity, depth: 2}]}",
        "test",
    )


def settings(tmp_path: Path, **given: int) -> Settings:
    return Settings(host="127.0.0.1", port=0, metrics_port=None, data_dir=tmp_path, **given)


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[AsyncClient]:
    cascades = {"plain": cascade(), "hurried": cascade().model_copy(update={"budget_ms": 1e-6})}
    async with serving(settings(tmp_path), "default", only=cascades) as served:
        yield served.client


async def index(client: AsyncClient, documents: tuple[Document, ...] = DOCUMENTS) -> list[tuple[int, int]]:
    told: list[tuple[int, int]] = []
    await index_through_server(client, Wanted("fruit", documents), lambda done, total: told.append((done, total)))
    return told


async def test_documents_that_fusion_dropped_still_count_for_their_retriever(client: AsyncClient) -> None:
    await index(client)
    answered: list[int] = []
    report, runs = await evaluate(client, COLLECTION, SETUP, answered=lambda: answered.append(1))
    assert {stage: len(run["q"]) for stage, run in runs.items()} == {"bm25": 12, "fuse": 4, "identity": 4}
    bm25, fuse, identity = report.stages
    assert bm25.measures["R@100"].mean == 1.0
    assert fuse.measures["R@100"].mean == identity.measures["R@100"].mean == 0.5
    assert (identity.candidates, identity.recall_ceiling.mean) == (2.0, 0.5)
    assert (report.top_k, report.notes, answered) == (12, ("as it is",), [1])


async def test_an_excluded_document_makes_room_for_those_below(client: AsyncClient) -> None:
    await index(client)
    _, runs = await evaluate(client, COLLECTION, SETUP, answered=lambda: None)
    assert runs["bm25"]["q"][:3] == ("d12", "d11", "d10")
    ranked_third = {"q": {"d10": 1}}
    third = Collection(**{f: getattr(COLLECTION, f) for f in COLLECTION.__slots__} | {"qrels": ranked_third})
    report, _ = await evaluate(client, third, SETUP, answered=lambda: None)
    assert report.stages[0].measures["RR@10"].mean == 0.5


async def test_a_tier_without_time_is_counted_and_keeps_the_order_it_received(client: AsyncClient) -> None:
    await index(client)
    hurried = Setup(cascade="hurried", index="fruit")
    report, runs = await evaluate(client, COLLECTION, hurried, answered=lambda: None)
    assert report.degraded_queries == 1
    assert report.stages[-1].status == {"skipped": 1}
    assert runs["identity"] == runs["fuse"]


async def test_a_query_that_is_not_answered_in_time_counts_as_zero(client: AsyncClient) -> None:
    await index(client)
    late = Setup(cascade="plain", index="fruit", timeout=1e-6)
    report, runs = await evaluate(client, COLLECTION, late, answered=lambda: None)
    assert report.unanswered_queries == 1
    assert runs["bm25"]["q"] == ()
    assert all(stage.measures["nDCG@10"].mean == 0.0 for stage in report.stages)


async def test_a_limit_of_the_server_is_noted(tmp_path: Path) -> None:
    async with serving(settings(tmp_path, max_top_k=3), "default", only={"plain": cascade()}) as served:
        await index(served.client)
        report, runs = await evaluate(served.client, COLLECTION, SETUP, answered=lambda: None)
    assert report.top_k == 3
    assert len(runs["bm25"]["q"]) == 3
    assert "the server returns at most 3 results" in report.notes[-1]


def ranked_before(order: str = "d3 d12 d99 d1") -> Collection:
    return with_run(COLLECTION, Candidates("run", {"q": tuple(order.split())}))


async def test_a_run_is_reranked_and_stands_first(client: AsyncClient) -> None:
    report, runs = await evaluate(client, ranked_before(), Setup("plain", index=""), answered=lambda: None)
    assert [(f.stage.name, f.stage.kind, f.stage.depth) for f in report.stages][:2] == [
        ("run", "run", 4),
        ("bm25", "bm25", 12),
    ]
    assert runs["run"]["q"] == ("d3", "d12", "d99", "d1")
    assert runs["bm25"]["q"] == runs["identity"]["q"] == ("d12", "d3", "d1")
    assert [report.stages[0].measures["RR@10"].mean, report.stages[1].measures["RR@10"].mean] == [0.5, 1.0]
    assert (report.index, report.stages[0].candidates, report.stages[0].seconds) == ("", 4.0, 0.0)
    assert report.stages[0].measures["R@4"].mean == 1.0


async def test_a_query_without_candidates_counts_as_zero(client: AsyncClient) -> None:
    queries = {"q": "apple", "other": "pear"}
    both = replace(COLLECTION, queries=queries, qrels={**COLLECTION.qrels, "other": {"d2": 1}})
    given = with_run(both, Candidates("run", {"q": ("d12", "d1")}))
    report, runs = await evaluate(client, given, Setup("plain", index=""), answered=lambda: None)
    assert report.unanswered_queries == 0
    assert runs["identity"] == {"q": ("d12", "d1"), "other": ()}
    assert [figures.measures["AP"].mean for figures in report.stages] == [0.5] * 4


async def test_judged_documents_are_ranked_without_an_index_and_without_a_stage_of_their_own(
    client: AsyncClient,
) -> None:
    judged = with_judged(replace(COLLECTION, qrels={"q": {"d12": 1, "d1": 0, "d7": 0}}), seed=0)
    report, runs = await evaluate(client, judged, Setup("plain", index=""), answered=lambda: None)
    assert [figures.stage.name for figures in report.stages] == ["bm25", "fuse", "identity"]
    assert runs["identity"]["q"] == ("d12", "d7", "d1")
    assert report.query_ids == ("q",)


async def test_more_candidates_than_the_server_takes_are_refused_or_made_room_for(tmp_path: Path) -> None:
    small = settings(tmp_path, max_documents=2, max_top_k=2, max_document_chars=5, max_message_bytes=1024)
    async with serving(small, "default", only={"plain": cascade()}) as served:
        with pytest.raises(InvalidInputError, match="a query has 4, and the server takes at most 2 of a request"):
            await evaluate(served.client, ranked_before(), Setup("plain", index=""), answered=lambda: None)
    async with serving(with_room(small, ranked_before()), "default", only={"plain": cascade()}) as served:
        report, _ = await evaluate(served.client, ranked_before(), Setup("plain", index=""), answered=lambda: None)
    assert report.stages[-1].measures["R@100"].mean == 1.0


async def test_an_unknown_cascade_is_refused_with_those_that_are_known(client: AsyncClient) -> None:
    with pytest.raises(NotFoundError, match="known: hurried, plain"):
        await evaluate(client, COLLECTION, Setup(cascade="slow", index="fruit"), answered=lambda: None)


async def test_indexing_tells_how_far_it_is_and_refuses_other_documents(client: AsyncClient) -> None:
    assert await index(client) == [(0, 12), (12, 12)]
    with pytest.raises(InvalidInputError, match="holds 2 documents that are not in the collection"):
        await index(client, DOCUMENTS[:10])
    with pytest.raises(InvalidInputError, match="the cascade needs 'other'"):
        await index_through_server(client, Wanted("fruit", DOCUMENTS, "other"), lambda done, total: None)


def test_index_names_are_valid_and_like_the_folder() -> None:
    assert index_name("NQ_QED (2024)") == "nq-qed-2024"
    assert index_name("---") == "collection"
    assert len(index_name("x" * 99)) == 63


def test_the_encoder_is_the_dense_retrievers(tmp_path: Path) -> None:
    assert encoder_of(known_cascade(settings(tmp_path), "default", "fast")) == "embedded:all-minilm-l6-v2"
    assert encoder_of(cascade()) == ""
    with pytest.raises(NotFoundError, match="no tenant named 'acme'"):
        known_cascade(settings(tmp_path), "acme", "fast")
