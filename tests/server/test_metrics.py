"""The metrics endpoint, and what bounds its labels."""

from __future__ import annotations

from typing import Any

import pytest
from prometheus_client import generate_latest

from cascade.errors import ConfigError
from cascade_server.metrics import INDEXES_PER_TENANT, SECONDS, Metrics

EVERY_METRIC = {
    "cascade_requests_total": {"tenant", "cascade", "code"},
    "cascade_request_duration_seconds_count": {"tenant", "cascade"},
    "cascade_stage_duration_seconds_count": {"tenant", "cascade", "stage", "kind", "status"},
    "cascade_stage_candidates_count": {"tenant", "cascade", "stage", "kind", "direction"},
    "cascade_stage_queue_seconds_count": {"tenant", "cascade", "stage", "kind"},
    "cascade_batch_size_count": {"model"},
    "cascade_batch_tokens_count": {"model"},
    "cascade_truncated_documents_total": {"tenant", "cascade", "stage"},
    "cascade_degraded_total": {"tenant", "cascade", "stage", "reason"},
    "cascade_index_documents": {"tenant", "index"},
    "cascade_build_info": {"version", "python"},
}


@pytest.mark.asyncio(loop_scope="session")
async def test_every_metric_is_there_after_one_request_to_the_preset_fast(
    serve: Any, library: Any, tmp_path: Any
) -> None:
    async with serve(library.server.settings.data_dir) as running:
        response = await running.rank(cascade="fast", index="fruit")
        metrics = await running.metrics()
    assert not response.degraded
    labels = {name: {label for label, _ in found} for name, found in metrics}
    assert {name: labels.get(name) for name in EVERY_METRIC} == EVERY_METRIC
    default = {("tenant", "default"), ("cascade", "fast")}
    assert metrics["cascade_requests_total", frozenset({*default, ("code", "OK")})] == 1
    stages = {
        dict(found)["stage"]: value
        for (name, found), value in metrics.items()
        if name == "cascade_stage_duration_seconds_count"
    }
    assert stages == {"bm25": 1, "dense": 1, "fuse": 1, "cross_encoder": 1}
    degraded = [v for (name, found), v in metrics.items() if name == "cascade_degraded_total" and default <= found]
    assert set(degraded) == {0}
    assert metrics["cascade_index_documents", frozenset({("tenant", "default"), ("index", "fruit")})] == 4


@pytest.mark.asyncio(loop_scope="session")
async def test_what_a_stage_did_not_do_is_counted_by_reason(library: Any) -> None:
    from google.protobuf.duration_pb2 import Duration

    counted = {"tenant": "default", "cascade": "plain", "stage": "trim", "reason": "no_time"}
    before = await library.metric("cascade_degraded_total", **counted)
    await library.rank(budget=Duration())
    assert await library.metric("cascade_degraded_total", **counted) == before + 1


@pytest.mark.asyncio(loop_scope="session")
async def test_refused_requests_are_counted_by_code_under_no_made_up_name(plain: Any, refused: Any) -> None:
    refusal = {"tenant": "default", "cascade": "other", "code": "NOT_FOUND"}
    before = await plain.metric("cascade_requests_total", **refusal)
    await refused(plain.rank(cascade="made-up"))
    assert await plain.metric("cascade_requests_total", **refusal) == before + 1


def test_buckets_begin_at_half_a_millisecond_and_grow() -> None:
    assert SECONDS[0] == 0.0005
    assert list(SECONDS) == sorted(set(SECONDS))


def test_the_many_small_indexes_of_a_tenant_are_one_series() -> None:
    metrics = Metrics()
    for size in range(INDEXES_PER_TENANT + 3):
        metrics.indexes.set("default", f"index-{size}", size)
    (family,) = metrics.indexes.collect()
    sizes = {sample.labels["index"]: sample.value for sample in family.samples}
    assert len(sizes) == INDEXES_PER_TENANT + 1
    assert sizes["other"] == 0 + 1 + 2


def test_two_servers_of_a_process_count_apart() -> None:
    first, second = Metrics(), Metrics()
    first.ranked("default", "fast", "OK", 0.1)
    assert b'code="OK"' in generate_latest(first.registry)
    assert b'code="OK"' not in generate_latest(second.registry)


def test_a_port_that_is_taken_is_named() -> None:
    first = Metrics().serve("127.0.0.1", 0)
    try:
        with pytest.raises(ConfigError, match=f"metrics_port: 127.0.0.1:{first.port} cannot be listened on"):
            Metrics().serve("127.0.0.1", first.port)
    finally:
        first.close()
