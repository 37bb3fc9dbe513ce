"""The tenants of this server and the cascades that each may use; a reload that is not sound changes nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace

import structlog

from cascade.config import CascadeConfig
from cascade.engine import Cascade
from cascade.errors import ModelLoadError, NotFoundError

Configs = Mapping[str, Mapping[str, CascadeConfig]]

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Tenant:
    """A tenant's cascades by name, and why some of them cannot be used."""

    name: str
    cascades: Mapping[str, Cascade]
    problems: Mapping[str, ModelLoadError] = field(default_factory=dict)

    def cascade(self, name: str) -> Cascade:
        """The cascade `name`. Raises NotFoundError, or ModelLoadError when its models could not be loaded."""
        if name not in self.cascades:
            raise NotFoundError("cascade", name, sorted(self.cascades))
        if name in self.problems:
            problem = self.problems[name]
            raise ModelLoadError(problem.model, problem.reason)
        return self.cascades[name]


class Tenants:
    """Always one whole set of tenants: `reload` replaces all of it or nothing."""

    def __init__(self, read: Callable[[], Configs], build: Callable[[str, CascadeConfig], Cascade]) -> None:
        """`read` reads every tenant's cascades and raises ConfigError; `build` wires one and loads nothing."""
        self._read = read
        self._build = build
        self._tenants: dict[str, Tenant] = {}
        self._reloading = asyncio.Lock()
        self._retired: list[Cascade] = []

    def read(self) -> None:
        """Read all cascades, without their models. Raises ConfigError, which says everything that is wrong."""
        self._tenants = self._wire(self._read())

    async def warm_up(self) -> None:
        """Load the models of all cascades; one whose models cannot be loaded is kept with its problem."""
        async with self._reloading:
            for tenant in list(self._tenants.values()):
                problems: dict[str, ModelLoadError] = {}
                for name, cascade in tenant.cascades.items():
                    try:
                        await cascade.warm_up()
                    except ModelLoadError as error:
                        problems[name] = error
                        log.error("cascade_unusable", tenant=tenant.name, cascade=name, problem=str(error))
                self._tenants[tenant.name] = replace(tenant, problems=problems)

    async def reload(self) -> None:
        """Read all cascades again, load their models, and only then change over.

        Raises ConfigError, or ModelLoadError for a cascade that is new or was sound, and everything stays as it was.
        """
        async with self._reloading:
            fresh = self._wire(await asyncio.to_thread(self._read))
            for tenant in list(fresh.values()):
                problems: dict[str, ModelLoadError] = {}
                for name, cascade in tenant.cascades.items():
                    try:
                        await cascade.warm_up()
                    except ModelLoadError as error:
                        if name not in tenant.problems:
                            raise
                        problems[name] = error
                fresh[tenant.name] = replace(tenant, problems=problems)
            before = list(self)
            self._tenants = fresh
            kept = {id(cascade) for _, cascade in self}
            # Requests in progress may still run them, so they are closed at the end and not now.
            self._retired.extend(cascade for _, cascade in before if id(cascade) not in kept)

    def get(self, name: str) -> Tenant:
        """The tenant `name`. Raises NotFoundError, which does not list the others."""
        if name not in self._tenants:
            raise NotFoundError("tenant", name, None)
        return self._tenants[name]

    def __contains__(self, name: str) -> bool:
        return name in self._tenants

    def __iter__(self) -> Iterator[tuple[str, Cascade]]:
        """Every cascade with the name of its tenant."""
        return ((tenant.name, cascade) for tenant in self._tenants.values() for cascade in tenant.cascades.values())

    @property
    def names(self) -> tuple[str, ...]:
        """Every tenant's name, sorted."""
        return tuple(sorted(self._tenants))

    async def aclose(self) -> None:
        """Close all cascades, also those that a reload replaced."""
        for cascade in [cascade for _, cascade in self] + self._retired:
            await cascade.aclose()
        self._retired.clear()

    def _wire(self, configs: Configs) -> dict[str, Tenant]:
        """The tenants of `configs`; a cascade that says the same as before is taken over, with its problem if any."""
        tenants: dict[str, Tenant] = {}
        for tenant, found in configs.items():
            now = self._tenants.get(tenant, Tenant(tenant, {}))
            same = {n for n, config in found.items() if n in now.cascades and now.cascades[n].config == config}
            cascades = {n: now.cascades[n] if n in same else self._build(n, found[n]) for n in sorted(found)}
            tenants[tenant] = Tenant(tenant, cascades, {n: e for n, e in now.problems.items() if n in same})
        return tenants
