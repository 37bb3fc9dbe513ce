"""A thousand changes of configuration while requests are answered by several processes that share one store."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Mapping, Sequence

from cascade.load import validity
from cascade.load.bench import Bench, bench
from cascade.load.changer import Changer
from cascade.load.changes import wrong_versions
from cascade.load.narrator import Narrator
from cascade.load.options import Options
from cascade.load.phase import percentile
from cascade.load.reply import Outcome, Reply
from cascade.load.report import Figure, Report, Row, percentiles, report
from cascade.load.workload import WORDS, workload

BOUND = 1.0
"""Seconds after which no answer may come by an older version: what the server promises."""

RATE = 25.0
"""Requests a second of each tenant to each process."""

_TENANTS = ("red", "blue")
_SEGMENTS = 20
_SEGMENT_SECONDS = (1.0, 10.0)
_SHOWN = 20


async def reload(options: Options, narrator: Narrator) -> Report:
    """Put and activate versions, one after the other for each tenant, and watch what every process answers by."""
    work = workload("words", options.cascade or WORDS % 10, seed=options.seed)
    settings: Mapping[str, Mapping[str, str]] = {f"server{n}": {} for n in range(options.processes)}
    async with bench(settings, {tenant: [work] for tenant in _TENANTS}, options, narrator) as on:
        changers = [Changer(on, tenant, work) for tenant in _TENANTS]
        each = math.ceil(options.changes / len(changers))
        working = [asyncio.create_task(changer.work(each)) for changer in changers]
        try:
            await _load(on, changers, working)
        finally:
            for task in working:
                task.cancel()
            ended = await asyncio.gather(*working, return_exceptions=True)
        for error in ended:
            if isinstance(error, Exception):
                raise error
        return _report(on, changers)


async def _load(on: Bench, changers: Sequence[Changer], working: Sequence[asyncio.Task[None]]) -> None:
    """Load all servers until all changes are made, or for as long as it may take."""
    until, number = time.monotonic() + on.options.seconds, 0
    shortest, longest = _SEGMENT_SECONDS
    seconds = min(max(on.options.seconds / _SEGMENTS, shortest), longest)
    while not all(task.done() for task in working) and time.monotonic() < until:
        flows = [
            on.flow(tenant, RATE, server=server, name=f"{tenant} on {server}")
            for server in on.servers
            for tenant in _TENANTS
        ]
        for changer in changers:
            changer.resume()
        made = sum(len(changer.changes) - 1 for changer in changers)
        await on.open(f"load, {made} changes made", flows, seconds, seed=number)
        for changer in changers:
            changer.pause()
        number += 1


def _report(on: Bench, changers: Sequence[Changer]) -> Report:
    changes = [change for changer in changers for change in changer.changes]
    effects = [seconds for change in changes for seconds in change.effects.values()]
    # A flow is called TENANT on SERVER.
    loaded = [(reply.flow.partition(" ")[0], reply) for phase in on.phases for reply in phase.replies]
    watched = [(changer.tenant, reply) for changer in changers for reply in changer.watched]
    wrong = wrong_versions(changes, [(t, r) for t, r in [*loaded, *watched] if r.answer], BOUND)
    lost = [f"{r.outcome} {r.reason}".strip() for _, r in [*loaded, *watched] if r.outcome is not Outcome.ANSWERED]
    errors = [problem for changer in changers for problem in changer.failures] + lost
    made = sum(math.isfinite(change.asked) for change in changes)
    figures: dict[str, Figure] = {
        "changes": made,
        "errors": len(errors),
        "wrong_versions": len(wrong),
        "effect_p50_seconds": percentile(effects, 50),
        "effect_p99_seconds": percentile(effects, 99),
        "effect_max_seconds": max(effects, default=None),
        "answers": len(loaded) + len(watched) - len(lost),
        "processes": len(on.servers),
    }
    problems = [
        *on.problems(percentile(effects, 99)),
        *validity.sample("effects", len(effects), 99),
        *([f"only {made} of {on.options.changes} changes were made in time"] if made < on.options.changes else []),
    ]
    evidence = {
        **on.evidence(),
        "bound_seconds": BOUND,
        "offered_per_second": RATE * len(_TENANTS) * len(on.servers),
        "effect_seconds": {
            server.name: percentiles([c.effects[server.target] for c in changes if server.target in c.effects])
            for server in on.servers.values()
        },
        "put_seconds": percentiles([seconds for changer in changers for seconds in changer.put_seconds]),
        "activate_seconds": percentiles([seconds for changer in changers for seconds in changer.activate_seconds]),
        "error_list": errors[:_SHOWN],
        "wrong_version_list": wrong[:_SHOWN],
    }
    return report("reload", figures, problems, on.phases, evidence, _rows(figures, loaded, errors, wrong))


def _rows(
    figures: Mapping[str, Figure], loaded: Sequence[tuple[str, Reply]], errors: Sequence[str], wrong: Sequence[str]
) -> list[Row]:
    def seconds(name: str) -> str:
        value = figures[name]
        return "-" if value is None else f"{value:.3f} s"

    return [
        Row("changes", f"{figures['changes']:,}", f"put and activated, on {figures['processes']} processes"),
        Row("errors", f"{figures['errors']:,}", errors[0] if errors else f"among {len(loaded):,} requests of the load"),
        Row("answers by a wrong version", f"{figures['wrong_versions']:,}", wrong[0] if wrong else ""),
        Row("change to effect, p50", seconds("effect_p50_seconds"), "on each process, from its acknowledgement"),
        Row("change to effect, p99", seconds("effect_p99_seconds"), f"longest {seconds('effect_max_seconds')}"),
    ]
