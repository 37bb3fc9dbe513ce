"""The store with its rules: what may come into force, and when a change is done."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import ParamSpec, TypeVar

from cascade.config import CascadeConfig, parse
from cascade.errors import ConfigError
from cascade_server.control.state import Version
from cascade_server.control.store import Store

P = ParamSpec("P")
T = TypeVar("T")


class ControlPlane:
    """Nothing is kept that is not valid and allowed, and nothing comes into force whose models cannot be loaded."""

    def __init__(
        self,
        store: Store,
        *,
        forbidden: Callable[[CascadeConfig], Sequence[str]],
        load: Callable[[CascadeConfig], Awaitable[None]],
        follow: Callable[[], Awaitable[None]],
        counted: Callable[[], Awaitable[object]],
    ) -> None:
        """`forbidden` names the sources of a cascade that are not allowed, `load` raises ModelLoadError.

        `follow` has this process do what the store says now, and raises nothing: the change is made then. `counted`
        has the store know what this process has counted of what was used, as far as it can be reached.
        """
        self.store = store
        self._forbidden = forbidden
        self._load = load
        self._follow = follow
        self.counted = counted

    async def read(self, query: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """What a method of the store returns, which may wait for a disk or a database."""
        return await asyncio.to_thread(query, *args, **kwargs)

    async def change(self, change: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """What a changing method of the store returns, once the change is in force in this process."""
        made = await asyncio.to_thread(change, *args, **kwargs)
        await self._follow()
        return made

    async def sound(self, text: str, source: str) -> CascadeConfig:
        """The cascade that `text` says. Raises ConfigError unless it is valid and all its sources are allowed."""
        config = await asyncio.to_thread(parse, text, source)
        problems = await asyncio.to_thread(self._forbidden, config)
        if problems:
            raise ConfigError(source, problems)
        return config

    async def loadable(self, config: CascadeConfig) -> None:
        """Load all its models. Raises ModelLoadError."""
        await self._load(config)

    async def ready(self, tenant: str, cascade: str, number: int) -> Version:
        """The version `number`, fit to come into force. Raises NotFoundError, ConfigError or ModelLoadError.

        What was allowed when it was kept may not be any more.
        """
        version = await self.read(self.store.version, tenant, cascade, number)
        await self.loadable(await self.sound(version.text, f"{tenant}/{cascade} version {number}"))
        return version
