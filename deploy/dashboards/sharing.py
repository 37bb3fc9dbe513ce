"""The rows about sharing a server: who uses how much, who waits, which versions answer, and is the store there."""

from __future__ import annotations

from panels import CHOSEN, TENANT, Panel, lines, mean, quantile, rate, stacked


def tenants() -> list[Panel]:
    """Who uses how much, and who is refused what?"""
    tokens = rate(f"cascade_tokens_total{TENANT}", "tenant")
    allowed = 'max by (tenant) (cascade_quota{tenant=~"$tenant",quota="tokens_per_second"})'
    return [
        stacked(
            lines(
                "Tokens read",
                "Tokens that models read per second for each tenant's answers. Shadows are not among them.",
                "short",
                (tokens, "{{tenant}}"),
            )
        ),
        lines(
            "Quota use",
            "Tokens per second over the tenant's quota of them. Servers that do not share their counts in Redis "
            "allow the quota each, so the sum over all of them may stand above 100 %.",
            "percentunit",
            (f"{tokens} / on (tenant) {allowed}", "{{tenant}}"),
        ),
        stacked(
            lines(
                "Refused",
                "Requests per second that were refused before any work: by the name of a quota, as overloaded or "
                "unavailable, or for their credentials.",
                "reqps",
                (rate(f"cascade_refused_total{TENANT}", "tenant, reason") + " > 0", "{{tenant}}: {{reason}}"),
            )
        ),
        stacked(
            lines(
                "Cost",
                "Money per hour, by the prices in the server's settings. Models without a price cost nothing here.",
                "short",
                (f"3600 * {rate(f'cascade_cost_total{TENANT}', 'tenant')}", "{{tenant}}"),
            )
        ),
    ]


def queues() -> list[Panel]:
    """Who waits for a model? Tenants share the queues, so the tenant chosen above does not matter here."""
    return [
        stacked(
            lines(
                "Refused at the gate",
                "Requests per second that admission refused, by what was short: room, time, or the tenant's quota.",
                "reqps",
                (rate("cascade_gate_refused_total", "reason") + " > 0", "{{reason}}"),
            )
        ),
        lines(
            "Waiting work",
            "Tokens of work that wait for each model, and how many may be ahead of a request that is still admitted.",
            "short",
            ("sum by (model) (cascade_queue_tokens)", "{{model}} waiting"),
            ("sum by (model) (cascade_limit_tokens)", "{{model}} limit"),
        ),
        stacked(
            lines(
                "Work dropped",
                "Entries of a queue per second that were not run to their end: the queue was full or stood too long, "
                "their time was over, or their caller had left.",
                "ops",
                (rate("cascade_queue_dropped_total", "model, reason") + " > 0", "{{model}}: {{reason}}"),
            )
        ),
    ]


def rollouts() -> list[Panel]:
    """Which versions answer, and how do they compare?"""
    duration = quantile(0.95, "cascade_rollout_duration_seconds", "le, tenant, cascade, version")
    each = "{{tenant}} {{cascade}} {{version}}"
    return [
        lines(
            "Versions",
            "The number of the version that is active, canary or shadow, 0 for none. One that should be in force and "
            "cannot be is counted apart.",
            "short",
            (f"max by (tenant, cascade, version) (cascade_rollout_version{CHOSEN})", each),
            (f"max by (tenant, cascade) (cascade_rollout_problems{CHOSEN}) > 0", "{{tenant}} {{cascade}} unusable"),
            width=8,
        ),
        lines(
            "Answer time by version, p95",
            "Time of an answer without its waits for models, so that a shadow, which waits for everybody, compares.",
            "s",
            (duration, each),
            width=8,
        ),
        lines(
            "Tokens an answer, by version",
            "Mean number of tokens that a version's models read for an answer.",
            "short",
            (
                f"{rate(f'cascade_rollout_tokens_total{CHOSEN}', 'tenant, cascade, version')} / "
                f"{rate(f'cascade_rollout_duration_seconds_count{CHOSEN}', 'tenant, cascade, version')}",
                each,
            ),
            width=8,
        ),
        lines(
            "Shadow's likeness",
            "How much a shadow's ranking of the same requests is like the answer: the share of the first results that "
            "both have, and the rank-biased overlap, which weighs the top most. 1 is the same.",
            "percentunit",
            (mean("cascade_shadow_overlap", "tenant, cascade", CHOSEN), "{{tenant}} {{cascade}} overlap"),
            (mean("cascade_shadow_rbo", "tenant, cascade", CHOSEN), "{{tenant}} {{cascade}} rank-biased overlap"),
        ),
        stacked(
            lines(
                "Copies not compared",
                "Copies of requests per second that were not compared: the server was busy, the answer degraded, or "
                "the shadow failed.",
                "ops",
                (
                    rate(f"cascade_shadow_lost_total{CHOSEN}", "tenant, cascade, reason") + " > 0",
                    "{{tenant}} {{cascade}}: {{reason}}",
                ),
            )
        ),
    ]


def store() -> list[Panel]:
    """Does every server do what the control plane says?"""
    return [
        lines(
            "Following the store",
            "1 while a server does what the store says. At 0 it goes on with what was in force before.",
            "short",
            ("min by (instance) (cascade_store_following)", "{{instance}}"),
            width=8,
        ),
        lines(
            "Revision",
            "The newest change that each server knows. Servers that share a store are within a second of each other.",
            "short",
            ("max by (instance) (cascade_store_revision)", "{{instance}}"),
            width=8,
        ),
        lines(
            "Usage kept back",
            "Sums of usage that the store did not take; they are lost if the process ends before it does. And "
            "whether quotas are counted in Redis, where that is set up: 1, or 0 while it does not answer.",
            "short",
            ("max by (instance) (cascade_store_usage_kept)", "{{instance}}"),
            ("min by (instance) (cascade_quotas_shared)", "{{instance}} quotas shared"),
            width=8,
        ),
    ]
