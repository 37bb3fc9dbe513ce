"""What a server adds to the engine in process, what it makes of many clients, and what it keeps in memory."""

from __future__ import annotations

import asyncio
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from cascade import presets
from cascade.bench import machine
from cascade.bench.measure import Contender, Goal, Measured, interleave
from cascade.bench.options import Options
from cascade.bench.result import Check, Result
from cascade.bench.serving.bare import bare
from cascade.bench.serving.cases import CASCADES, heads, kilobytes, natural, short
from cascade.bench.serving.driver import Driver
from cascade.bench.serving.memory import resident
from cascade.bench.serving.processors import Shares, kept_to, shares
from cascade.bench.serving.subject import ClientSpec, EngineSpec, Question
from cascade.bench.texts import texts
from cascade.load.server import ServerProcess, servers

_DOCUMENTS = 20
_CLIENTS = 32
_FEW = 5
_SATURATED = 8
"""Requests at a time at which neither a server nor the engine waits for the next."""
_FIRST = 1000
"""Reranks after which memory is looked at first: by then everything that is to stay is there."""
_RERANKS = 5000
_RESULTS = 10
"""Of an answer, as many as the client asks for."""
_RESAMPLES = 2000
_OWN = {
    # Nothing may be refused: a closed loop would then measure how fast that is.
    "overload": "fixed",
    "log_level": "info",
}


@dataclass(frozen=True, slots=True)
class _Setting:
    """What every part of the bench needs."""

    options: Options
    server: ServerProcess
    shares: Shares
    tell: Callable[[str], None]

    @property
    def version(self) -> str:
        return str(machine.describe(self.options)["cascade"])

    @property
    def seconds(self) -> float:
        """Of one run of one contender, short enough for seven rounds of each part in the time there is."""
        return 0.05 if self.options.quick else 1.5

    @property
    def clients(self) -> int:
        """At once, where there are many."""
        return 4 if self.options.quick else _CLIENTS

    def part(self, share: float) -> float | None:
        """Seconds of a part of the bench that has that share of the time."""
        return None if self.options.seconds is None else self.options.seconds * share

    def client(self, cascade: str, questions: Sequence[Question], target: str | None = None) -> Driver:
        return Driver(ClientSpec(target or self.server.target, cascade, tuple(questions), self.shares.clients))

    def engine(self, cascade: str, questions: Sequence[Question]) -> Driver:
        return Driver(EngineSpec(CASCADES[cascade], tuple(questions), self.options.threads, self.shares.work))

    def interleave(self, ours: Contender, peers: Sequence[Contender], units: int, unit: str) -> Measured:
        rounds, most = self.options.rounds, self.part(1 / 8)
        return interleave(ours, peers, units=units, unit=unit, rounds=rounds, tell=self.tell, seconds=most)


def bench(options: Options, tell: Callable[[str], None]) -> Result:
    """The server against the engine in process, and against itself asked one request at a time."""
    held = shares()
    # No more threads than processors, of which the clients have one.
    options = replace(options, threads=min(options.threads, len(held.work) or 1))
    size = 4 if options.quick else 64
    source = texts(options)
    passages = natural(source, size, _DOCUMENTS, options.seed)
    large, little = kilobytes(source, size, 100, options.seed), short(size, _FEW, options.seed)
    tell("loading the model, which measures what it runs on best where that is not known yet")
    with Driver(EngineSpec(CASCADES["model"], (), options.threads, held.work)):
        pass  # a server is waited for two minutes only
    with _served(options, held, tell) as server:
        setting = _Setting(options, server, held, tell)
        saturated = _throughput(setting, "model", "cross-encoder", passages, Goal(0.93, 0.98))
        plain = _throughput(setting, "plain", "no model, 100 documents of 1 KB", large, None)
        added, latency = _latency(setting, large, plain.ours.median / 2)
        together = _together(setting, "natural length", heads(passages, _FEW), Goal(2.5, 5.0))
        together_short = _together(setting, "short", little, None)
        memory, kept = _memory(setting, little)
    return Result.of(
        "server",
        [saturated, plain, together, together_short],
        quality={"texts": source.source, "latency": latency, "memory": kept},
        machine=machine.describe(options, "grpcio"),
        notes=[
            f"{held}; the engine needs no client, and a server's client is not counted as the server's",
            "the engine is given texts and makes documents of them; the server's client has its messages made and "
            "counts what writing them, sending them and reading the answers takes",
            f"{_SATURATED} requests at a time saturate; latencies are at half of the server's throughput without a "
            "model, at moments drawn from a Poisson process, the same for all",
            f"a gRPC server that does nothing took {latency['grpc_alone_p50_ms'][0]:.2f} ms with the same client, p50",
        ],
        checks=[added, memory],
    )


def _throughput(
    setting: _Setting, cascade: str, what: str, questions: Sequence[Question], goal: Goal | None
) -> Measured:
    """Requests a second of the server against those of the engine, both with always enough to do."""
    with setting.engine(cascade, questions) as engine, setting.client(cascade, questions) as client:
        units = _units(setting, client, _SATURATED)
        return setting.interleave(
            Contender(f"server, {what}", setting.version, lambda: client.closed(units, _SATURATED)),
            [
                Contender(
                    f"engine in process, {what}",
                    setting.version,
                    lambda: engine.closed(units, _SATURATED),
                    goal=goal,
                )
            ],
            units,
            "requests/s",
        )


def _latency(setting: _Setting, questions: Sequence[Question], rate: float) -> tuple[Check, dict[str, Any]]:
    """What the server adds to the engine's latency at `rate` requests a second, with its interval over rounds.

    Beside it, what a server that does nothing takes: less than that nobody adds who answers over gRPC.
    """
    options = setting.options
    part = setting.part(1 / 5)
    seconds = 0.1 if options.quick else 3.0 if part is None else min(3.0, part / options.rounds / 3)
    found: dict[str, list[list[float]]] = {"server": [], "engine": [], "gRPC alone": []}
    with (
        bare(_RESULTS, setting.shares.work) as target,
        setting.engine("plain", questions) as engine,
        setting.client("plain", questions) as client,
        setting.client("plain", questions, target) as nobody,
    ):
        drivers = {"server": client, "engine": engine, "gRPC alone": nobody}
        for driver in drivers.values():
            driver.open(rate, seconds / 2, options.seed)
        for number in range(options.rounds):
            for name in sorted(drivers, reverse=number % 2 == 0):
                found[name].append(drivers[name].open(rate, seconds, options.seed + number) or [seconds])
            setting.tell(f"round {number + 1} of {options.rounds}, p50 ms: " + _medians(found))
    points = {
        f"p{p}": [
            (np.quantile(ours, p / 100) - np.quantile(theirs, p / 100)) * 1e3
            for ours, theirs in zip(found["server"], found["engine"], strict=True)
        ]
        for p in (50, 99)
    }
    added = {name: _interval(each) for name, each in points.items()}
    absolute = {
        name: {f"p{p}": float(np.median([np.quantile(one, p / 100) for one in each]) * 1e3) for p in (50, 99)}
        for name, each in found.items()
    }
    value, low, high = added["p50"]
    check = Check("added latency, p50", value, Goal(1.5, 0.5), "less", "ms", low, high)
    alone = _interval([np.median(one) * 1e3 for one in found["gRPC alone"]])
    facts = {
        "rate_per_second": rate,
        "added_ms": added,
        "grpc_alone_p50_ms": alone,
        "milliseconds": absolute,
        "rounds_ms": points,
    }
    return check, facts


def _together(setting: _Setting, what: str, questions: Sequence[Question], goal: Goal | None) -> Measured:
    """Pairs a second of many clients at once against those of one that asks one request at a time."""
    clients = setting.clients
    with setting.client("model", questions) as client:
        units = _units(setting, client, clients)
        return setting.interleave(
            Contender(f"{clients} clients, {what}", setting.version, lambda: client.closed(units, clients)),
            [Contender(f"one request at a time, {what}", setting.version, lambda: client.closed(units, 1), goal=goal)],
            _FEW * units,
            "pairs/s",
        )


def _memory(setting: _Setting, questions: Sequence[Question]) -> tuple[Check, dict[str, Any]]:
    """How much more the server keeps after many reranks than after the first of them."""
    options, most = setting.options, setting.part(1 / 5)
    first, reranks = (20, 40) if options.quick else (_FIRST, options.reranks or _RERANKS)
    with setting.client("model", questions) as client:
        client.closed(first, _SATURATED)
        seen, step, done = [resident(setting.server.pid)], max(1, reranks // 10), 0
        spent = 0.0
        while done < reranks and (options.reranks is not None or most is None or spent < most):
            spent += client.closed(step, _SATURATED)
            done += step
            seen.append(resident(setting.server.pid))
            setting.tell(f"{done:,} of {reranks:,} reranks: {seen[-1] / 2**20:.1f} MB")
    grown = seen[-1] / seen[0] - 1
    check = Check(f"memory after {done:,} reranks more than {first:,}", grown, Goal(0.02, 0.0), "less", "of it")
    return check, {"first": first, "reranks": done, "bytes": seen}


def _units(setting: _Setting, driver: Driver, concurrency: int) -> int:
    """Requests that take about as long as one run is to take."""
    driver.closed(concurrency, concurrency)
    tried = 2 * concurrency
    rate = tried / driver.closed(tried, concurrency)
    return max(concurrency, round(rate * setting.seconds))


def _interval(each: Sequence[float]) -> tuple[float, float, float]:
    """The median with its 95 % bootstrap interval."""
    values = np.array(each)
    drawn = np.random.default_rng(0).integers(0, len(values), (_RESAMPLES, len(values)))
    low, high = np.quantile(np.median(values[drawn], axis=1), (0.025, 0.975))
    middle = float(np.median(values))
    return middle, min(float(low), middle), max(float(high), middle)


def _medians(found: dict[str, list[list[float]]]) -> str:
    return "; ".join(f"{name} {np.median(each[-1]) * 1e3:.2f}" for name, each in found.items())


@contextmanager
def _served(options: Options, held: Shares, tell: Callable[[str], None]) -> Iterator[ServerProcess]:
    """A server process with the bench's cascades; it is looked after by a loop in a thread of its own."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="bench server", daemon=True)
    thread.start()
    with ExitStack() as stack:
        stack.callback(_end, loop, thread)
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="cascade-bench-")))
        own = folder / "cascades" / "default"
        own.mkdir(parents=True)
        # The presets' places are taken too: their models would take memory and a minute.
        for name, text in (dict.fromkeys(presets.load_all(), CASCADES["plain"]) | dict(CASCADES)).items():
            (own / f"{name}.yaml").write_text(text, encoding="utf-8")
        given = {**_OWN, "cascades_dir": str(own.parent), "threads": str(options.threads)}
        tell(f"starting a server; {held}")

        async def start() -> Any:
            running = servers(folder, {"bench": given})
            with kept_to(held.work):
                found = await running.__aenter__()
            return running, found["bench"]

        running, server = asyncio.run_coroutine_threadsafe(start(), loop).result()
        stack.callback(lambda: asyncio.run_coroutine_threadsafe(running.__aexit__(None, None, None), loop).result())
        yield server


def _end(loop: asyncio.AbstractEventLoop, thread: threading.Thread) -> None:
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()
