"""The control plane without a server: the same checks and rules, in this process, on the store."""

from __future__ import annotations

import asyncio
import getpass
import os
from functools import partial
from types import TracebackType
from typing import Any, Self, TypeVar

from cascade.build import Models, build_cascade
from cascade.config import CascadeConfig
from cascade_client.calls import Call
from cascade_server.access.principal import Principal
from cascade_server.cascade_files import DEFAULT_TENANT
from cascade_server.control.plane import ControlPlane
from cascade_server.control.state import Role
from cascade_server.control.store import Store
from cascade_server.interceptors.record import begin
from cascade_server.rollout.sources import check_sources
from cascade_server.servicers.admin import AdminServicer
from cascade_server.settings import Settings

T = TypeVar("T")


class LocalPlane:
    """Whoever may write the store is an operator; servers that share it follow within a second."""

    def __init__(self, settings: Settings) -> None:
        """Raises ConfigError for a store that cannot be used."""
        self._settings = settings
        self._store = Store(settings.store_at)
        self._caller = Principal(f"local:{_user()}", None, Role.ADMIN)
        plane = ControlPlane(
            self._store,
            forbidden=partial(check_sources, settings=settings),
            load=self._load,
            follow=_no_server,
            counted=_no_server,
        )
        self._servicer = AdminServicer(plane)

    def send(self, call: Call[T], timeout: float | None) -> T:
        """The answer to `call`. Raises whatever a server would make a status of; there is no waiting for a server."""
        return call.read(asyncio.run(self._answer(call)))

    async def _answer(self, call: Call[Any]) -> Any:
        record = begin(call.method)
        record.principal, record.acting_tenant = self._caller, DEFAULT_TENANT
        handler = getattr(self._servicer, call.method.rsplit("/", 1)[-1])
        return await handler(call.request, None)

    async def _load(self, config: CascadeConfig) -> None:
        models = Models(threads=self._settings.threads, device=self._settings.device)
        cascade = build_cascade("candidate", config, models)
        try:
            await cascade.warm_up()
        finally:
            await cascade.aclose()
            await models.aclose()

    def __enter__(self) -> Self:
        self._store.migrate()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._store.close()


async def _no_server() -> None:
    """Nobody in this process has to follow a change, or has counted anything."""


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container's user need not have a name; the latter until Python 3.12
        return str(os.getuid())
