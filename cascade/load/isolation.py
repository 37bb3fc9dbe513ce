"""What one tenant notices of another that asks for ten times what it may."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import chain

from cascade.evaluate.ratio import Ratio, ratio
from cascade.load import validity
from cascade.load.bench import Bench, bench
from cascade.load.narrator import Narrator
from cascade.load.options import Options
from cascade.load.phase import Phase, percentile
from cascade.load.reply import Outcome
from cascade.load.report import Report, Row, ratio_json, report
from cascade.load.workload import RERANK, workload
from cascade_client.types import Quota

TIMES = 10.0
"""How many times its quota the aggressor asks for."""

_TAIL = 95.0


async def isolation(options: Options, narrator: Narrator) -> Report:
    """Alternate the victim alone with the victim beside the aggressor, its requests at the same times in both."""
    work = workload("rerank", options.cascade or RERANK, seed=options.seed)
    tenants = {"victim": [work], "aggressor": [replace(work, requests=work.requests[::-1])]}
    async with bench({"server": {}}, tenants, options, narrator) as on:
        seconds = options.seconds / options.rounds
        capacity = await on.capacity("victim", max(1.0, seconds / 2))
        allowed = capacity * options.quota_share
        quota = await _limit(on, allowed)
        alone, beside = [], []
        victim = on.flow("victim", capacity * options.victim_share)
        aggressor = on.flow("aggressor", allowed * TIMES)
        for number in range(options.rounds):
            alone.append(await on.open("victim alone", [victim], seconds, seed=number))
            beside.append(await on.open("victim beside aggressor", [victim, aggressor], seconds, seed=number))
        await on.capacity("victim", max(1.0, seconds / 2))
        return _report(on, alone, beside, quota)


async def _limit(on: Bench, requests_per_second: float) -> Quota:
    """Give the aggressor its quota, in tokens; of models that read none, as requests at a time."""
    tokens = on.tokens_per_request()
    # A burst of a second's worth, so that what was saved up is spent long before a round ends.
    quota = Quota(max_concurrent_requests=1)
    if tokens:
        rate = requests_per_second * tokens
        quota = Quota(tokens_per_second=rate, burst_tokens=max(round(rate), round(2 * tokens)))
    server = next(iter(on.servers.values()))
    async with on.tenancy.client(server.target) as client:
        await client.admin.set_quota("aggressor", quota)
    return quota


def _report(on: Bench, alone: Sequence[Phase], beside: Sequence[Phase], quota: Quota) -> Report:
    # Alone, a refusal must not make the bar lower; beside the aggressor, it must not hide how long answers take.
    usual, felt = [phase.waited("victim") for phase in alone], [phase.felt("victim") for phase in beside]
    pairs = [(percentile(b, _TAIL), percentile(a, _TAIL)) for a, b in zip(usual, felt, strict=True)]
    victim = ratio(pairs, on.options.seed)
    before, during = [*chain(*usual)], [*chain(*felt)]
    aggressor = [reply for phase in beside for reply in phase.of("aggressor")]
    lost = sum(not r.answer for phase in beside for r in phase.of("victim"))
    reasons: dict[str, int] = {}
    for phase in beside:
        for reason, count in phase.reasons(Outcome.REFUSED, "aggressor").items():
            reasons[reason] = reasons.get(reason, 0) + count
    figures = {
        "victim_p95_ratio": victim.value if victim else None,
        "victim_p95_ratio_low": victim.low if victim else None,
        "victim_p95_ratio_high": victim.high if victim else None,
        "victim_p95_alone_ms": _ms(percentile(before, _TAIL)),
        "victim_p95_beside_ms": _ms(percentile(during, _TAIL)),
        "victim_goodput_alone": _mean([phase.goodput("victim") for phase in alone]),
        "victim_goodput_beside": _mean([phase.goodput("victim") for phase in beside]),
        "victim_unanswered": lost,
        "aggressor_goodput": _mean([phase.goodput("aggressor") for phase in beside]),
        "aggressor_refused": sum(r.outcome is Outcome.REFUSED for r in aggressor),
    }
    problems = [
        *on.problems(percentile(before, _TAIL)),
        *validity.failures(on.phases),
        *validity.drift(on.capacities),
        *validity.sample("the victim alone", len(before), _TAIL),
        *validity.sample("the victim beside the aggressor", len(during), _TAIL),
    ]
    evidence = {
        **on.evidence(),
        "victim_p95_ratio": ratio_json(victim),
        "victim_share_of_capacity": on.options.victim_share,
        "quota_share_of_capacity": on.options.quota_share,
        "aggressor_quota": {k: v for k, v in _quota_json(quota).items() if v is not None},
        "aggressor_refused_because": reasons,
    }
    return report("isolation", figures, problems, on.phases, evidence, _rows(victim, figures, reasons, quota))


def _rows(
    victim: Ratio | None, figures: dict[str, float | int | None], reasons: dict[str, int], quota: Quota
) -> list[Row]:
    interval = f"95 % interval {victim.low:.2f} to {victim.high:.2f} over {len(victim.rounds)} rounds" if victim else ""
    because = ", ".join(f"{reason} {count}" for reason, count in reasons.items())
    return [
        Row("victim's p95, beside over alone", f"{victim.value:.2f}" if victim else "-", interval),
        Row("victim's p95 alone", f"{figures['victim_p95_alone_ms'] or 0:.1f} ms"),
        Row("victim's p95 beside the aggressor", f"{figures['victim_p95_beside_ms'] or 0:.1f} ms"),
        Row(
            "victim's goodput, alone and beside",
            f"{figures['victim_goodput_alone']:.2f} and {figures['victim_goodput_beside']:.2f} a second",
            f"{figures['victim_unanswered']} not answered",
        ),
        Row(
            "aggressor's goodput",
            f"{figures['aggressor_goodput']:.2f} a second",
            f"quota {quota.tokens_per_second or 0:,.0f} tokens/s",
        ),
        Row("aggressor's refusals", f"{figures['aggressor_refused']:,}", because),
    ]


def _quota_json(quota: Quota) -> dict[str, float | int | None]:
    return {
        "tokens_per_second": quota.tokens_per_second,
        "burst_tokens": quota.burst_tokens,
        "max_concurrent_requests": quota.max_concurrent_requests,
    }


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 0.0


def _ms(seconds: float | None) -> float | None:
    return None if seconds is None else seconds * 1e3
