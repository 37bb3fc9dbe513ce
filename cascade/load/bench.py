"""What every load test stands on: servers of its own, tenants with keys, and a generator."""

from __future__ import annotations

import asyncio
import math
import tempfile
from collections.abc import AsyncIterator, Awaitable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from cascade import presets
from cascade.config import parse
from cascade.evaluate import machine
from cascade.load import validity
from cascade.load.generator import Generator
from cascade.load.narrator import Narrator
from cascade.load.options import Options
from cascade.load.phase import Phase, percentile, throughput
from cascade.load.reply import Outcome
from cascade.load.schedule import Flow
from cascade.load.server import ServerProcess, servers
from cascade.load.tenancy import Tenancy, provide, until_answered
from cascade.load.workload import WORDS, Workload

# What a closed loop does first is not counted: queues fill, limits are learnt.
_RAMP = 0.25
# Between two phases: whatever the one left in the server is gone.
_PAUSE = 0.5
_PATIENT = 30.0
_PLACES = {"cascades_dir", "store_url", "data_dir"}


class Bench:
    """Runs phases one after the other and remembers them in `phases`; capacities, in requests a second, too."""

    def __init__(
        self,
        generator: Generator,
        running: Mapping[str, ServerProcess],
        tenancy: Tenancy,
        options: Options,
        narrator: Narrator,
        *,
        cheaper: bool,
    ) -> None:
        """`cheaper` says whether the cascades allow a busy server to do less."""
        self.servers = running
        self.tenancy = tenancy
        self.options = options
        self.narrator = narrator
        self.phases: list[Phase] = []
        self.capacities: list[float] = []
        self._generator = generator
        self._cheaper = cheaper
        self._before = self._used()

    def flow(
        self, tenant: str, rate: float, *, server: str = "", name: str = "", begin: float = 0.0, end: float = math.inf
    ) -> Flow:
        """A tenant's requests to a server, the first one unless it is named, between two moments of a phase."""
        target = (self.servers[server] if server else next(iter(self.servers.values()))).target
        metadata = self.tenancy.metadata(tenant)
        return Flow(name or tenant, target, tenant, rate, metadata, begin=begin, end=end, cheaper=self._cheaper)

    async def open(self, label: str, flows: Sequence[Flow], seconds: float, *, seed: int) -> Phase:
        """Load for `seconds`."""
        deadline = self.options.deadline
        work = self._generator.open(label, flows, seconds, deadline=deadline, seed=self.options.seed * 1000 + seed)
        return await self._phase(label, seconds, work)

    async def capacity(self, tenant: str, seconds: float, *, server: str = "") -> float:
        """Answers a second with a few requests always in progress; 0 if there were too few to tell."""
        phase = await self._closed("capacity", tenant, seconds, server)
        found = throughput(phase.replies, phase.started + _RAMP * seconds, phase.started + seconds)
        self.capacities.append(found)
        return found

    async def warm_up(self, tenant: str, seconds: float) -> None:
        """The same, of which nothing counts: the first requests of a process are slower than all later ones."""
        await self._closed("warm-up", tenant, seconds, "")

    def tokens_per_request(self) -> float:
        """What an answer cost so far, on average; 0 without models."""
        tokens = [r.tokens for phase in self.phases for r in phase.replies if r.outcome is Outcome.ANSWERED]
        return sum(tokens) / len(tokens) if tokens else 0.0

    def problems(self, reported: float | None) -> list[str]:
        """What speaks against any figure of this run; `reported` is the least latency that one rests on."""
        return [
            *(problem for server in self.servers.values() for problem in server.problems()),
            *validity.lag(self.phases, reported),
            *validity.foreign(machine.foreign_share(self._before, self._used())),
        ]

    def evidence(self) -> dict[str, object]:
        """What was done, on which machine."""
        return {
            "machine": machine.describe("grpcio"),
            "other_programs_share": machine.foreign_share(self._before, self._used()),
            "seed": self.options.seed,
            "rounds": self.options.rounds,
            "seconds": self.options.seconds,
            "deadline_seconds": self.options.deadline,
            "capacities_per_second": self.capacities,
            "tokens_per_request": self.tokens_per_request(),
            "servers": {name: _own(server.settings) for name, server in self.servers.items()},
        }

    async def _closed(self, label: str, tenant: str, seconds: float, server: str) -> Phase:
        flow, concurrency = self.flow(tenant, 0.0, server=server), self.options.concurrency
        work = self._generator.closed(label, flow, seconds, deadline=_PATIENT, concurrency=concurrency)
        return await self._phase(label, seconds, work)

    async def _phase(self, label: str, seconds: float, work: Awaitable[Phase]) -> Phase:
        await asyncio.sleep(_PAUSE)
        phase = await self.narrator.during(label, seconds, work)
        self.phases.append(phase)
        self.narrator.say(f"  {label}: {summary(phase)}")
        return phase

    def _used(self) -> machine.Used | None:
        return machine.used([self._generator.pid, *(server.pid for server in self.servers.values())])


@asynccontextmanager
async def bench(
    settings: Mapping[str, Mapping[str, str]],
    tenants: Mapping[str, Sequence[Workload]],
    options: Options,
    narrator: Narrator,
) -> AsyncIterator[Bench]:
    """Servers with `settings` by name, which share one store, and tenants that each may use their own cascades.

    A flow of a tenant draws from the requests of all its cascades. Raises ServerError, ClientError.
    """
    pools = {tenant: [request for work in each for request in work.requests] for tenant, each in tenants.items()}
    with tempfile.TemporaryDirectory(prefix="cascade-load-") as name, Generator(pools) as generator:
        folder = Path(name)
        common = {
            "cascades_dir": str(_without_presets(folder / "cascades")),
            "store_url": f"sqlite:///{folder / 'control.db'}",
            "threads": str(options.threads),
        }
        narrator.say(f"starting {', '.join(settings)}")
        each = {server: {**common, "data_dir": str(folder / server), **given} for server, given in settings.items()}
        async with servers(folder, each) as running:
            targets = [server.target for server in running.values()]
            tenancy = await provide(targets[0], tenants)
            for target in targets:
                await until_answered(target, tenancy, tenants)
            configs = [parse(work.text, work.cascade) for each_tenant in tenants.values() for work in each_tenant]
            cheaper = all(config.on_overload == "cheaper" for config in configs)
            yield Bench(generator, running, tenancy, options, narrator, cheaper=cheaper)


def summary(phase: Phase) -> str:
    """A phase in one line."""
    counts = ", ".join(f"{count} {outcome}" for outcome, count in phase.counts().items() if count)
    found = [(p, percentile(phase.answered(), p)) for p in (50, 95, 99)]
    times = ", ".join(f"p{p} {seconds * 1e3:.1f} ms" for p, seconds in found if seconds is not None)
    return f"{counts or 'nothing'}; {phase.goodput():.1f} good answers/s; {times or 'no answer'}"


def _own(settings: Mapping[str, str]) -> dict[str, str]:
    """Settings but for where things lie, which says nothing of anyone else's machine."""
    return {name: value for name, value in settings.items() if name not in _PLACES}


def _without_presets(folder: Path) -> Path:
    """Cascade files that take the presets' places, whose models would take memory and a minute."""
    own = folder / "default"
    own.mkdir(parents=True)
    for name in presets.load_all():
        (own / f"{name}.yaml").write_text(WORDS % 10, encoding="utf-8")
    return folder
