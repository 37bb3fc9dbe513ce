"""The tenants of this server and the cascades that each may use: what folder and store say, as one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import structlog

from cascade.build import Models, build_cascade
from cascade.config import CascadeConfig
from cascade.engine import Cascade
from cascade.errors import CascadeError, ConfigError, NotFoundError
from cascade_server.control.state import State
from cascade_server.rollout.changeover import Changeover, Configs, Place
from cascade_server.rollout.loading import Loading
from cascade_server.rollout.serving import Wired
from cascade_server.rollout.tenant import Tenant

__all__ = ["Configs", "Tenant", "Tenants"]

log = structlog.get_logger()


class Tenants:
    """Always one whole set of tenants, replaced by one assignment: what was given out of an earlier one stays sound.

    A version comes into force once its models are loaded. Until then, or if they cannot be, what answered before goes
    on answering. A cascade of the store replaces the folder's of the same name.
    """

    def __init__(
        self,
        read: Callable[[], Configs],
        models: Models,
        *,
        forbidden: Callable[[CascadeConfig], Sequence[str]] = lambda _: (),
        changed: Callable[[Mapping[str, Tenant], Mapping[Place, CascadeError]], None] = lambda _tenants, _problems: (
            None
        ),
    ) -> None:
        """`read` reads the folder and raises ConfigError; `forbidden` says which sources a cascade of the store may not
        name; `changed` is given all tenants and all problems after every change-over."""
        self._read = read
        self._models = models
        self._forbidden = forbidden
        self._changed = changed
        self._files: Configs = {}
        self._state = State()
        self._tenants: dict[str, Tenant] = {}
        self._wired: dict[Place, Wired] = {}
        self._problems: dict[Place, CascadeError] = {}
        self._loading = Loading(models, self._loaded)
        self._changing = asyncio.Lock()
        self._reloading = asyncio.Lock()
        self._stale = False
        self._following_up: asyncio.Task[None] | None = None
        # Its own thread: requests may keep all others busy, and a change must not wait for them.
        self._thread = ThreadPoolExecutor(1, "change-over")

    def read(self) -> None:
        """Read the folder's cascades, without their models. Raises ConfigError, which says everything that is wrong."""
        self._files = self._read()
        change = self._changeover({})
        self._take(change, change.tenants())

    async def warm_up(self) -> None:
        """Load all models; a cascade whose models cannot be loaded is kept with its problem."""
        async with self._changing:
            await self._change_over()
        await self.settled()

    async def apply(self, state: State) -> None:
        """Have what the store says in force: at once what is loaded, the rest as soon as its models are."""
        async with self._changing:
            self._state = state
            await self._change_over()

    async def reload(self) -> None:
        """Read the folder again, load what is new, and only then change over; what could not be loaded is tried again.

        Raises ConfigError, or ModelLoadError for a cascade that is new or was sound, and everything stays as it was.
        """
        async with self._reloading:
            files = await asyncio.to_thread(self._read)
            broken = set(self._problems)
            fresh = await asyncio.to_thread(self._fresh, files)
            for place, wired in fresh.items():
                await self._loading.load(wired)
                if wired.problem is not None and place not in broken:
                    raise wired.problem
            for place in broken & self._wired.keys():
                self._wired[place].problem = None
            async with self._changing:
                self._files = files
                await self._change_over(fresh)

    async def try_load(self, config: CascadeConfig) -> None:
        """Load the models of a cascade that may be about to come into force. Raises ModelLoadError."""
        cascade = await asyncio.to_thread(build_cascade, "trial", config, self._models)
        for model in self._models.held_by(cascade):
            model.forget_problem()
        await self._loading.try_load(cascade)
        for wired in self._wired.values():
            if wired.problem is not None and wired.cascade.config == config:
                wired.usable, wired.problem = True, None

    async def settled(self) -> None:
        """Return when nothing is being loaded, and all that can be is in force."""
        while waiting := {*self._loading.tasks, *filter(None, [self._following_up])}:
            await asyncio.wait(waiting)

    def get(self, name: str) -> Tenant:
        """The tenant `name`. Raises NotFoundError, which does not list the others."""
        if name not in self._tenants:
            raise NotFoundError("tenant", name, None)
        return self._tenants[name]

    def __contains__(self, name: str) -> bool:
        return name in self._tenants

    def __iter__(self) -> Iterator[tuple[str, Wired]]:
        """Every version that runs, with the name of its tenant, and every one of the folder that cannot."""
        return ((t.name, wired) for t in self._tenants.values() for s in t.serving.values() for wired in s.wired)

    @property
    def names(self) -> tuple[str, ...]:
        """Every tenant's name, sorted."""
        return tuple(sorted(self._tenants))

    @property
    def problems(self) -> Mapping[Place, CascadeError]:
        """Why versions that should be in force are not, by tenant, cascade and number."""
        return dict(self._problems)

    @property
    def vital(self) -> Iterator[Cascade]:
        """Every cascade without whose models the server is not well: all that run, and all of the operator's files.

        A version that a tenant put into the store and that never came into force is that tenant's trouble alone.
        """
        return (wired.cascade for _, wired in self if wired.usable or not wired.number)

    async def aclose(self) -> None:
        """Change and load nothing more, and let go of all cascades."""
        await self._loading.aclose()
        if (task := self._following_up) is not None:
            task.cancel()
            await asyncio.wait({task})
        self._thread.shutdown()
        self._tenants, self._wired = {}, {}

    async def _change_over(self, fresh: Mapping[Place, Wired] | None = None) -> None:
        change = self._changeover(fresh or {})
        # There may be thousands to look through.
        tenants = await asyncio.get_running_loop().run_in_executor(self._thread, change.tenants)
        self._take(change, tenants)
        self._loading.want(w for w in self._wired.values() if not w.usable and w.problem is None)

    def _changeover(self, fresh: Mapping[Place, Wired]) -> Changeover:
        return Changeover(self._tenants, self._files, self._state, partial(self._wire, fresh))

    def _take(self, change: Changeover, tenants: dict[str, Tenant]) -> None:
        for place in change.problems.keys() - self._problems.keys():
            tenant, cascade, version = place
            log.error(
                "not_in_force", tenant=tenant, cascade=cascade, version=version, problem=str(change.problems[place])
            )
        self._tenants, self._wired, self._problems = tenants, change.wired, change.problems
        self._changed(tenants, change.problems)

    def _wire(self, fresh: Mapping[Place, Wired], place: Place, config: CascadeConfig) -> Wired:
        """The version at `place`, the same one as long as it says the same. Raises ConfigError."""
        known = fresh.get(place) or self._wired.get(place)
        if known is not None and (known.cascade.config is config or known.cascade.config == config):
            return known
        _, cascade, number = place
        if number and (problems := self._forbidden(config)):
            raise ConfigError(f"cascade {cascade!r} version {number}", problems)
        wired = Wired(build_cascade(cascade, config, self._models), number)
        wired.usable = self._loading.ready(wired.cascade)
        return wired

    def _fresh(self, files: Configs) -> dict[Place, Wired]:
        """The cascades of `files` that are new, say something new or could not be used, wired; not the store's."""
        fresh: dict[Place, Wired] = {}
        for tenant, cascades in files.items():
            stored = self._state.tenants.get(tenant)
            for cascade, config in cascades.items():
                now = self._wired.get((tenant, cascade, 0))
                same = now is not None and now.problem is None and now.cascade.config == config
                if not same and (stored is None or cascade not in stored.rollouts):
                    fresh[tenant, cascade, 0] = Wired(build_cascade(cascade, config, self._models), 0)
        return fresh

    def _loaded(self) -> None:
        self._stale = True
        if self._following_up is None:
            self._following_up = asyncio.create_task(self._follow_up())

    async def _follow_up(self) -> None:
        """Change over to what was loaded, however much of it there is by then."""
        try:
            while self._stale:
                self._stale = False
                async with self._changing:
                    await self._change_over()
        finally:
            self._following_up = None
