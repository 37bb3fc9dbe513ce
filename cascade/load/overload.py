"""What becomes of a server that is asked for more than it can do, and how it would be with a plain queue."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from cascade.evaluate.ratio import Ratio, ratio
from cascade.load import validity
from cascade.load.bench import Bench, bench
from cascade.load.narrator import Narrator
from cascade.load.options import Options
from cascade.load.phase import Phase, percentile
from cascade.load.recovery import recovery_seconds
from cascade.load.reply import Outcome
from cascade.load.report import Figure, Report, Row, ratio_json, report
from cascade.load.workload import RERANK, workload

NORMAL, DOUBLE, TRIPLE = 0.8, 2.0, 3.0
"""Loads, of capacity."""

AFTERWARDS = 0.5
"""Load after the burst: close to capacity, the least backlog takes long to work off, however it came about."""

_TENANT = "searcher"
_BURST, _AFTER = "3x", "after 3x"
_TAIL = 99.0


@dataclass(slots=True)
class _Seen:
    """The phases by what they are for; `peak` is the mean of the capacities before and after each 2x load."""

    peak: list[float] = field(default_factory=list)
    normal: list[Phase] = field(default_factory=list)
    double: list[Phase] = field(default_factory=list)
    fifo: list[Phase] = field(default_factory=list)
    burst: list[Phase] = field(default_factory=list)


async def overload(options: Options, narrator: Narrator) -> Report:
    """Alternate capacity, 80 % of it, twice it, and twice it against first come first served; then short bursts."""
    work = workload("rerank", options.cascade or RERANK, seed=options.seed)
    # A plain queue takes whoever comes.
    fifo = {"queue": "fifo", "overload": "fixed", "max_concurrent_requests": "4096"}
    async with bench({"ours": {}, "fifo": fifo}, {_TENANT: [work]}, options, narrator) as on:
        seen, long = _Seen(), options.seconds / options.rounds
        await on.warm_up(_TENANT, _long_enough(long))
        for number in range(options.rounds):
            await _round(on, seen, long, number)
        rate = on.capacities[-1]
        for number in range(options.rounds + 1):
            seen.burst.append(await _burst(on, rate, long / 6, number))
        await on.capacity(_TENANT, _long_enough(long))
        return _report(on, seen)


async def _round(on: Bench, seen: _Seen, long: float, number: int) -> None:
    rate = await on.capacity(_TENANT, _long_enough(long))
    seen.normal.append(await on.open("80 % load", [on.flow(_TENANT, NORMAL * rate)], long * 0.4, seed=number))
    seen.double.append(await on.open("2x capacity", [on.flow(_TENANT, DOUBLE * rate)], long, seed=number))
    after = await on.capacity(_TENANT, _long_enough(long))
    seen.peak.append((rate + after) / 2)
    overrun = on.flow(_TENANT, DOUBLE * rate, server="fifo")
    seen.fifo.append(await on.open("2x capacity, first come first served", [overrun], long / 3, seed=number))


async def _burst(on: Bench, rate: float, long: float, number: int) -> Phase:
    """Three times the capacity for `long` seconds, and without a pause half of it."""
    burst = on.flow(_TENANT, TRIPLE * rate, name=_BURST, end=long)
    after = on.flow(_TENANT, AFTERWARDS * rate, name=_AFTER, begin=long)
    return await on.open("3x capacity, then half of it", [burst, after], long + max(1.5, 0.6 * long), seed=100 + number)


def _long_enough(long: float) -> float:
    """Seconds to measure capacity for."""
    return max(1.0, long / 6)


def _report(on: Bench, seen: _Seen) -> Report:
    normal = [latency for phase in seen.normal for latency in phase.waited()]
    accepted = [latency for phase in seen.double for latency in phase.waited()]
    plain = [latency for phase in seen.fifo for latency in phase.waited()]
    refused = [latency for phase in seen.double for latency in phase.latencies(Outcome.REFUSED)]
    usual, ours, fifo = (percentile(each, _TAIL) for each in (normal, accepted, plain))
    goodput = ratio([(d.goodput(), peak) for d, peak in zip(seen.double, seen.peak, strict=True)], on.options.seed)
    recovered = [_recovery(phase, usual) for phase in seen.burst]
    figures: dict[str, Figure] = {
        "goodput_ratio": goodput.value if goodput else None,
        "p99_ratio": ours / usual if ours and usual else None,
        "fifo_over_ours": fifo / ours if fifo and ours else None,
        "refusal_p99_ms": _ms(percentile(refused, _TAIL)),
        "recovery_seconds": _median(recovered),
        "peak_goodput": _median(seen.peak),
        "p99_normal_ms": _ms(usual),
        "p99_double_ms": _ms(ours),
        "p99_fifo_ms": _ms(fifo),
        "cheaper": sum(phase.counts()[Outcome.CHEAPER] for phase in seen.double),
        "degraded": sum(phase.counts()[Outcome.DEGRADED] for phase in seen.double),
        "refused": len(refused),
        "refused_normal": sum(phase.counts()[Outcome.REFUSED] for phase in seen.normal),
    }
    problems = [
        *on.problems(usual),
        *validity.failures(on.phases),
        *validity.drift(on.capacities),
        *validity.sample("80 % load", len(normal), _TAIL),
        *validity.sample("accepted at 2x", len(accepted), _TAIL),
        *validity.sample("first come first served at 2x", len(plain), _TAIL),
        *validity.sample("refusals at 2x", len(refused), _TAIL),
        *(["after 3x load the p99 was not back to normal while it was watched"] if None in recovered else []),
    ]
    evidence = {
        **on.evidence(),
        "goodput_ratio": ratio_json(goodput),
        "recovery_seconds": recovered,
        "peaks_per_second": seen.peak,
    }
    return report("overload", figures, problems, on.phases, evidence, _rows(figures, goodput, recovered))


def _rows(figures: dict[str, Figure], goodput: Ratio | None, recovered: Sequence[float | None]) -> list[Row]:
    def shown(name: str, unit: str = "", digits: int = 2) -> str:
        value = figures[name]
        return "-" if value is None else f"{value:,.{digits}f}{unit}"

    interval = f"95 % interval {goodput.low:.2f} to {goodput.high:.2f}" if goodput else ""
    return [
        Row("goodput at 2x, of peak", shown("goodput_ratio"), f"peak {shown('peak_goodput')} a second; {interval}"),
        Row("answers by a cheaper plan, which count", f"{figures['cheaper']:,}"),
        Row("answers degraded for want of time, which do not", f"{figures['degraded']:,}"),
        Row(
            "p99 of accepted at 2x over p99 at 80 % load",
            shown("p99_ratio"),
            f"{shown('p99_double_ms', ' ms', 1)} over {shown('p99_normal_ms', ' ms', 1)}",
        ),
        Row(
            "p99 first come first served, over ours, at 2x",
            shown("fifo_over_ours", "x", 1),
            f"{shown('p99_fifo_ms', ' ms', 1)} over {shown('p99_double_ms', ' ms', 1)}",
        ),
        Row("refusals answered in, p99", shown("refusal_p99_ms", " ms", 1), f"{figures['refused']:,} refusals"),
        Row(
            "recovery after 3x load",
            shown("recovery_seconds", " s"),
            "each burst: " + ", ".join("-" if r is None else f"{r:.2f}" for r in recovered),
        ),
    ]


def _recovery(phase: Phase, normal: float | None) -> float | None:
    end = phase.started + phase.ends[_BURST]
    return None if normal is None else recovery_seconds(phase.of(_AFTER), end, normal)


def _median(values: Sequence[float | None]) -> float | None:
    """The middle one, the upper of two; None, which is longer than any, where that is in the middle."""
    ordered = sorted(values, key=lambda value: float("inf") if value is None else value)
    return ordered[len(ordered) // 2] if ordered else None


def _ms(seconds: float | None) -> float | None:
    return None if seconds is None else seconds * 1e3
