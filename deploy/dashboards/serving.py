"""The rows about answers: are there any, where does their time go, how do candidates narrow, what falls short."""

from __future__ import annotations

from grafana_foundation_sdk.builders import bargauge, common, stat
from grafana_foundation_sdk.models import common as choices
from panels import ANSWERED, CHOSEN, PASSED_ON, Panel, describe, last_value, lines, mean, quantile, rate, stacked


def requests() -> list[Panel]:
    """Is it answering, and how fast?"""
    duration = "cascade_request_duration_seconds"
    return [
        stacked(
            lines(
                "Requests",
                "Answered requests per second, by gRPC status code.",
                "reqps",
                (rate(f"cascade_requests_total{CHOSEN}", "code"), "{{code}}"),
            )
        ),
        lines(
            "Request duration",
            "Time from a request's arrival to its answer.",
            "s",
            (quantile(0.5, duration, "le"), "p50"),
            (quantile(0.95, duration, "le"), "p95"),
            (quantile(0.99, duration, "le"), "p99"),
        ),
    ]


def stages() -> list[Panel]:
    """Where does the time go?"""
    duration = quantile(0.95, "cascade_stage_duration_seconds", "le, cascade, stage, kind")
    queued = quantile(0.95, "cascade_stage_queue_seconds", "le, cascade, stage")
    return [
        lines(
            "Stage duration, p95",
            "Time from a stage's start to its end, waiting included. Retrievers run side by side, the other "
            "stages one after the other.",
            "s",
            (duration, "{{cascade}} {{stage}} ({{kind}})"),
        ),
        lines(
            "Queue time, p95",
            "Time that a stage's work waited for its model. It grows when the model has more work than it can do.",
            "s",
            (queued, "{{cascade}} {{stage}}"),
        ),
    ]


def funnel() -> list[Panel]:
    """How do candidates narrow?"""
    passed_on = mean("cascade_stage_candidates", "cascade, stage", PASSED_ON)
    both_ways = mean("cascade_stage_candidates", "cascade, stage, direction", CHOSEN)
    bars = bargauge.Panel().unit("short").decimals(1).orientation(choices.VizOrientation.HORIZONTAL)
    bars.display_mode(choices.BarGaugeDisplayMode.BASIC).reduce_options(last_value())
    describe(
        bars,
        "Candidates passed on",
        "Mean number of candidates that a stage passes on, the widest stage first.",
        [(f"sort_desc({passed_on})", "{{cascade}} {{stage}}")],
        width=10,
    )
    flow = lines(
        "Candidates in and out",
        "Mean number of candidates that a stage is given and passes on. A retriever is given all that it "
        "searches, hence the logarithmic axis.",
        "short",
        (both_ways, "{{cascade}} {{stage}} {{direction}}"),
        width=14,
    )
    axis = common.ScaleDistributionConfig().type(choices.ScaleDistribution.LOG).log(10)
    return [bars, flow.min(1).scale_distribution(axis)]


def degradation() -> list[Panel]:
    """What falls short, and why? The server shows every counter at 0 from its start, hence `> 0`."""
    by_stage = rate(f"cascade_degraded_total{CHOSEN}", "tenant, cascade, stage")
    answers = rate(f"cascade_requests_total{ANSWERED}", "tenant, cascade")
    return [
        stacked(
            lines(
                "Stages that fell short",
                "Stages per second that were skipped, timed out or failed, by reason.",
                "ops",
                (
                    rate(f"cascade_degraded_total{CHOSEN}", "cascade, stage, reason") + " > 0",
                    "{{cascade}} {{stage}}: {{reason}}",
                ),
                width=8,
            )
        ),
        lines(
            "Degraded answers",
            "Share of answers without the stage that fell short most often. Several stages may fall short, each in "
            "other answers, so the true share of degraded answers is this or more.",
            "percentunit",
            (f"max by (tenant, cascade) ({by_stage}) / {answers}", "{{tenant}} {{cascade}}"),
            width=8,
        ),
        lines(
            "Documents cut short",
            "Documents per second of which a stage read only the beginning.",
            "ops",
            (
                rate(f"cascade_truncated_documents_total{CHOSEN}", "cascade, stage") + " > 0",
                "{{cascade}} {{stage}}",
            ),
            width=8,
        ),
    ]


def models() -> list[Panel]:
    """How full are the batches? Tenants share models, so the tenant chosen above does not matter here."""
    return [
        lines(
            "Batch size, mean",
            "Items that a model reads in one batch.",
            "short",
            (mean("cascade_batch_size", "model"), "{{model}}"),
            width=8,
        ),
        lines(
            "Batch tokens, mean",
            "Tokens that a model reads in one batch.",
            "short",
            (mean("cascade_batch_tokens", "model"), "{{model}}"),
            width=8,
        ),
        lines(
            "Tokens read",
            "Tokens that a model reads per second.",
            "short",
            (rate("cascade_batch_tokens_sum", "model"), "{{model}}"),
            width=8,
        ),
    ]


def caches() -> list[Panel]:
    """What need not be computed again? Tenants share the room, though none meets what another one left there."""
    hits, misses = (rate(f"cascade_cache_{what}_total", "cache") for what in ("hits", "misses"))
    return [
        lines(
            "Hits",
            "Share of look-ups that found a query's vector, a score or a document's token ids.",
            "percentunit",
            (f"{hits} / ({hits} + {misses})", "{{cache}}"),
            width=8,
        ),
        lines(
            "Forgotten",
            "Entries per second that gave way to newer ones. Where many do and hits are few, `cache_mb` is too small.",
            "ops",
            (rate("cascade_cache_evictions_total", "cache"), "{{cache}}"),
            width=8,
        ),
        stacked(
            lines(
                "Memory",
                "Bytes that the caches of all servers take.",
                "bytes",
                ("sum by (cache) (cascade_cache_bytes)", "{{cache}}"),
                width=8,
            )
        ),
    ]


def indexes() -> list[Panel]:
    """What is indexed, and which server is it?"""
    documents = 'max by (tenant, index) (cascade_index_documents{tenant=~"$tenant"})'
    servers = stat.Panel().unit("short").text_mode(choices.BigValueTextMode.VALUE_AND_NAME)
    versions = [("count by (version) (cascade_build_info)", "{{version}}")]
    describe(servers.reduce_options(last_value()), "Servers", "Running servers, by version.", versions, width=6)
    return [
        lines("Documents", "Documents in each index.", "short", (documents, "{{tenant}} {{index}}"), width=18),
        servers,
    ]
