"""The metrics endpoint, and what bounds its labels."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from prometheus_client import generate_latest

from cascade.config import parse
from cascade.errors import ConfigError
from cascade.trace import StageStatus, StageTrace
from cascade_server.control.state import Quota, Rollout
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
    "cascade_tokens_total": {"tenant", "cascade", "stage"},
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


CONFIG = parse("retrieve: [{kind: bm25}]", "words")
TRACE = [StageTrace("bm25", "bm25", StageStatus.COMPLETED, tokens=7, cost=0.5)]


def series(metrics: Metrics) -> set[frozenset[tuple[str, str]]]:
    """The labels of everything that names a tenant."""
    samples = [sample for family in metrics.registry.collect() for sample in family.samples]
    return {frozenset(sample.labels.items()) for sample in samples if "tenant" in sample.labels}


def fill(metrics: Metrics, tenant: str, cascade: str) -> None:
    """Everything that can be said of a cascade, said."""
    metrics.ranked(tenant, cascade, "OK", 0.1)
    metrics.stages(tenant, cascade, TRACE)
    metrics.refused(tenant, "overloaded")
    metrics.index_request(tenant, "GetIndex", "OK", 0.1)
    metrics.indexes.set(tenant, "notes", 3)
    metrics.tenants.may_use(tenant, Quota(tokens_per_second=5.0))
    metrics.rollouts.rolled_out(tenant, Rollout(cascade, active=1))
    metrics.rollouts.answered(tenant, cascade, "active", 0.1, False, TRACE)
    metrics.rollouts.compared(tenant, cascade, 1.0, 1.0)
    metrics.rollouts.lost(tenant, cascade, "full")


def test_a_tenant_that_is_gone_has_no_series() -> None:
    metrics = Metrics()
    metrics.configured({"acme": {"words": [CONFIG]}, "calm": {"words": [CONFIG]}})
    fill(metrics, "acme", "words")
    fill(metrics, "calm", "words")
    metrics.configured({"calm": {"words": [CONFIG]}})
    assert {dict(labels)["tenant"] for labels in series(metrics)} == {"calm"}


def test_a_cascade_that_is_gone_has_no_series_and_its_tenant_stays() -> None:
    metrics = Metrics()
    metrics.configured({"acme": {"words": [CONFIG]}})
    fill(metrics, "acme", "words")
    before = series(metrics)
    metrics.configured({"acme": {"words": [CONFIG], "trial": [CONFIG]}})
    fill(metrics, "acme", "trial")
    metrics.configured({"acme": {"words": [CONFIG]}})
    assert series(metrics) == before


def test_a_stage_that_no_version_has_any_more_has_no_series() -> None:
    metrics = Metrics()
    older = parse("retrieve: [{kind: bm25, name: lexical}]", "words")
    metrics.configured({"acme": {"words": [CONFIG, older]}})
    metrics.stages("acme", "words", [replace(TRACE[0], stage="lexical"), *TRACE])
    assert {"bm25", "lexical"} <= {dict(labels).get("stage") for labels in series(metrics)}
    metrics.configured({"acme": {"words": [CONFIG]}})
    metrics.stages("acme", "words", [replace(TRACE[0], stage="lexical")])
    assert {dict(labels).get("stage") for labels in series(metrics)} == {"bm25"}


def test_what_ends_after_its_cascade_is_gone_makes_no_series_again() -> None:
    metrics = Metrics()
    metrics.configured({"acme": {"words": [CONFIG]}})
    metrics.configured({})
    metrics.ranked("acme", "words", "OK", 0.1)
    metrics.stages("acme", "words", TRACE)
    assert {dict(labels)["tenant"] for labels in series(metrics)} == {"other"}


def test_ten_thousand_made_up_names_are_one_series() -> None:
    metrics = Metrics()
    metrics.configured({"acme": {"words": [CONFIG]}})
    before = len(series(metrics))
    for number in range(10_000):
        metrics.ranked(f"tenant-{number}", f"cascade-{number}", "NOT_FOUND", 0.1)
        metrics.refused(f"tenant-{number}", "unknown_key")
        metrics.index_request(f"tenant-{number}", "GetIndex", "NOT_FOUND", 0.1)
    made = series(metrics)
    assert {dict(labels)["tenant"] for labels in made} == {"acme", "other"}
    assert len(made) - before < 50


def test_a_quota_that_no_longer_limits_has_no_series() -> None:
    metrics = Metrics()
    metrics.tenants.may_use("acme", Quota(tokens_per_second=5.0, max_depth=10))
    metrics.tenants.may_use("acme", Quota(max_depth=10))
    assert {dict(labels)["quota"] for labels in series(metrics)} == {"max_depth"}


def test_the_shares_of_the_versions_that_answer_add_up() -> None:
    metrics = Metrics()
    metrics.rollouts.rolled_out(
        "acme", Rollout("words", 2, canary=3, canary_percent=10.0, shadow=4, shadow_percent=5.0)
    )
    found = {
        (sample.name, sample.labels["version"]): sample.value
        for family in metrics.registry.collect()
        for sample in family.samples
        if sample.name.startswith(("cascade_rollout_version", "cascade_rollout_percent"))
    }
    assert found == {
        ("cascade_rollout_version", "active"): 2,
        ("cascade_rollout_version", "canary"): 3,
        ("cascade_rollout_version", "shadow"): 4,
        ("cascade_rollout_percent", "active"): 90,
        ("cascade_rollout_percent", "canary"): 10,
        ("cascade_rollout_percent", "shadow"): 5,
    }
