"""Rank and RankStream through a real server."""

from __future__ import annotations

from typing import Any

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from structlog.testing import capture_logs

from cascade import presets
from cascade_api.v1 import document_pb2, ranking_pb2, ranking_pb2_grpc, trace_pb2

pytestmark = pytest.mark.asyncio(loop_scope="session")

COMPLETED, SKIPPED = trace_pb2.STAGE_STATUS_COMPLETED, trace_pb2.STAGE_STATUS_SKIPPED


def without_times(response: ranking_pb2.RankResponse) -> ranking_pb2.RankResponse:
    for trace in response.trace:
        trace.ClearField("run_time")
        trace.ClearField("queue_time")
    return response


async def test_inline_documents_are_called_by_their_position(plain: Any) -> None:
    response = await plain.rank()
    assert [(r.doc_id, r.position) for r in response.results[:1]] == [("1", 1)]
    assert sorted(r.doc_id for r in response.results) == ["0", "1", "2", "3"]
    assert [r.rank for r in response.results] == [1, 2, 3, 4]
    assert not response.degraded


async def test_inline_documents_keep_the_ids_they_have(plain: Any, texts: Any) -> None:
    response = await plain.rank(documents=texts("green pears", "red apples", named=True))
    assert [(r.doc_id, r.position) for r in response.results] == [("d1", 1), ("d0", 0)]


async def test_the_trace_has_every_stage_in_the_cascades_order(plain: Any) -> None:
    response = await plain.rank()
    assert [(t.stage, t.kind, t.status) for t in response.trace] == [
        ("bm25", "bm25", COMPLETED),
        ("fuse", "rrf", COMPLETED),
        ("keep", "identity", COMPLETED),
        ("trim", "identity", COMPLETED),
    ]
    assert [(t.candidates_in, t.candidates_out) for t in response.trace] == [(4, 4), (4, 4), (4, 4), (2, 2)]


async def test_the_answer_says_what_produced_it(plain: Any, configs: Any) -> None:
    provenance = (await plain.rank()).provenance
    assert provenance.cascade == "plain"
    assert provenance.config_hash == configs["plain"].config_hash
    assert (dict(provenance.models), provenance.index_version) == ({}, "")


async def test_top_k_bounds_the_results(plain: Any) -> None:
    assert len((await plain.rank(top_k=2)).results) == 2


async def test_text_comes_only_when_asked_for(plain: Any) -> None:
    assert (await plain.rank()).results[0].text == ""
    assert (await plain.rank(include_text=True)).results[0].text == "red apples are sweet"


async def test_explain_shows_where_a_document_stood_after_every_stage(plain: Any) -> None:
    assert not (await plain.rank()).results[0].stages
    best = (await plain.rank(explain=True)).results[0]
    assert [(s.stage, s.rank) for s in best.stages] == [("bm25", 1), ("fuse", 1), ("keep", 1), ("trim", 1)]
    assert best.score == best.stages[-1].score


async def test_a_filter_bounds_inline_documents_too(plain: Any, texts: Any) -> None:
    found = texts("red apples", "red apples")
    found[1].metadata["price"].int_value = 3
    comparison = document_pb2.Comparison(
        field="price",
        operator=document_pb2.COMPARISON_OPERATOR_GT,
        values=[document_pb2.MetadataValue(int_value=1)],
    )
    response = await plain.rank(documents=found, filter=document_pb2.Filter(comparison=comparison))
    assert [r.doc_id for r in response.results] == ["1"]


async def test_without_time_for_the_tiers_the_fused_ranking_is_the_answer(plain: Any) -> None:
    response = await plain.rank(budget=Duration(nanos=1000))
    assert response.degraded
    assert [(t.stage, t.status, t.reason) for t in response.trace if t.status != COMPLETED] == [
        ("keep", SKIPPED, "no_time"),
        ("trim", SKIPPED, "no_time"),
    ]
    assert response.results[0].doc_id == "1"
    assert {r.scored_by for r in response.results} == {"fuse"}


async def test_a_millisecond_for_the_tiers_of_a_preset_skips_them_by_name(
    library: Any, serve: Any, tmp_path: Any
) -> None:
    fast = {"fast": presets.load_all()["fast"]}
    async with serve(library.server.settings.data_dir, fast) as running:
        whole = await running.rank(cascade="fast", index="fruit")
        short = await running.rank(cascade="fast", index="fruit", budget=Duration(nanos=1_000_000))
    assert (whole.degraded, {r.scored_by for r in whole.results}) == (False, {"cross_encoder"})
    assert (short.degraded, {r.scored_by for r in short.results}) == (True, {"fuse"})
    assert [(t.stage, t.status) for t in short.trace if t.status != COMPLETED] == [("cross_encoder", SKIPPED)]


async def test_a_stream_has_an_update_for_every_stage_and_one_final(plain: Any) -> None:
    updates = await plain.stream()
    assert [(u.stage, u.final) for u in updates] == [
        ("bm25", False),
        ("fuse", False),
        ("keep", False),
        ("trim", True),
    ]
    assert [len(u.response.trace) for u in updates] == [1, 2, 3, 4]


async def test_the_last_update_equals_what_rank_returns(plain: Any) -> None:
    asked = {"explain": True, "include_text": True, "top_k": 3}
    updates = await plain.stream(**asked)
    assert without_times(updates[-1].response) == without_times(await plain.rank(**asked))


async def test_an_index_answers_with_its_version(library: Any) -> None:
    response = await library.rank(cascade="mixed", index="fruit", include_text=True)
    assert response.results[0].doc_id == "d1"
    assert response.results[0].text == "red apples are sweet"
    assert not response.results[0].HasField("position")
    assert response.provenance.index_version == "2"
    assert dict(response.provenance.models) == {"dense": "embedded:all-minilm-l6-v2"}


async def test_the_last_update_over_an_index_equals_what_rank_returns(library: Any) -> None:
    asked = {"cascade": "mixed", "index": "fruit", "explain": True}
    updates = await library.stream(**asked)
    assert [u.stage for u in updates if u.final] == ["keep"]
    assert without_times(updates[-1].response) == without_times(await library.rank(**asked))


async def test_a_filter_bounds_what_an_index_answers(library: Any) -> None:
    comparison = document_pb2.Comparison(
        field="price",
        operator=document_pb2.COMPARISON_OPERATOR_IN,
        values=[document_pb2.MetadataValue(int_value=price) for price in (0, 3)],
    )
    response = await library.rank(cascade="mixed", index="fruit", filter=document_pb2.Filter(comparison=comparison))
    assert {r.doc_id for r in response.results} == {"d0", "d3"}


async def test_the_caller_gets_an_answer_before_its_deadline_when_a_stage_hangs(library: Any, hung: Any) -> None:
    async with hung(library):
        response = await library.rank(cascade="mixed", index="fruit", timeout=1.0)
    assert response.degraded
    assert [t.stage for t in response.trace if t.status == trace_pb2.STAGE_STATUS_TIMED_OUT] == ["dense"]
    assert response.results[0].doc_id == "d1"


async def test_no_ranking_in_time_is_the_servers_answer_and_not_the_clients_guess(
    library: Any, hung: Any, refused: Any
) -> None:
    async with hung(library):
        refusal = await refused(library.rank(cascade="meaning", index="fruit", timeout=0.5))
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.DEADLINE_EXCEEDED, "BUDGET_EXCEEDED")
    assert refusal.facts == {"stage": "dense"}


async def test_a_request_whose_caller_leaves_is_dropped(library: Any, hung: Any) -> None:
    counted = {"tenant": "default", "cascade": "meaning", "code": "CANCELLED"}
    before = await library.metric("cascade_requests_total", **counted)
    with capture_logs() as logs:
        async with hung(library) as arrived:
            call = library.rank(cascade="meaning", index="fruit")
            await arrived(1)
            call.cancel()
            await arrived(0)
    assert [entry["code"] for entry in logs if entry["event"] == "request"] == ["CANCELLED"]
    assert await library.metric("cascade_requests_total", **counted) == before + 1


async def test_a_stream_whose_caller_leaves_is_dropped(library: Any, hung: Any) -> None:
    request = ranking_pb2.RankStreamRequest(request=library.request(cascade="mixed", index="fruit"))
    with capture_logs() as logs:
        async with hung(library) as arrived:
            call = ranking_pb2_grpc.RankingServiceStub(library.channel).RankStream(request)
            assert (await call.read()).stage == "bm25"
            call.cancel()
            await arrived(0)
    assert [(e["method"], e["code"]) for e in logs if e["event"] == "request"] == [("RankStream", "CANCELLED")]


async def test_a_request_leaves_one_line_in_the_log(plain: Any) -> None:
    with capture_logs() as logs:
        await plain.rank(top_k=3)
    (line,) = [entry for entry in logs if entry["event"] == "request"]
    seconds = line.pop("seconds")
    assert seconds > 0
    assert line == {
        "event": "request",
        "log_level": "info",
        "method": "Rank",
        "subject": "anonymous",
        "tenant": "default",
        "cascade": "plain",
        "top_k": 3,
        "documents": 4,
        "results": 3,
        "degraded": False,
        "code": "OK",
    }
