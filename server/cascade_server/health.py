"""The standard health service, which says of each service whether its models answer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

import structlog
from grpc_health.v1 import health
from grpc_health.v1.health_pb2 import HealthCheckResponse

from cascade.inference.model import ModelStatus
from cascade_api.v1 import admin_pb2, index_pb2, ranking_pb2, server_pb2

RANKING = ranking_pb2.DESCRIPTOR.services_by_name["RankingService"].full_name
INDEX = index_pb2.DESCRIPTOR.services_by_name["IndexService"].full_name
ADMIN = admin_pb2.DESCRIPTOR.services_by_name["AdminService"].full_name
SERVER = server_pb2.DESCRIPTOR.services_by_name["ServerService"].full_name

_LOOK_EVERY = 1.0

log = structlog.get_logger()


class Health:
    """Never says SERVING of a service that could not answer: it looks at its models every second.

    Only models that cascades hold count, so that no caller can make the server look ill.
    """

    def __init__(self, models: Callable[[], Iterable[ModelStatus]]) -> None:
        self.servicer = health.aio.HealthServicer()
        self._models = models
        self._warm = False
        self._said: dict[str, bool] = {}

    async def refresh(self) -> None:
        """Say how things are now."""
        status = list(self._models())
        problems = {s.model: s.problem for s in status if not s.ready}
        encoders_ready = all(s.ready for s in status if s.kind == "bi_encoder")
        all_ready = self._warm and not problems
        await self._say("", all_ready, problems)
        await self._say(RANKING, all_ready, problems)
        await self._say(INDEX, self._warm and encoders_ready, problems)
        await self._say(SERVER, True, {})
        await self._say(ADMIN, True, {})

    async def warmed_up(self) -> None:
        """All models were tried; from now on their state decides."""
        self._warm = True
        await self.refresh()

    async def watch(self) -> None:
        """Refresh every second until cancelled."""
        while True:
            await asyncio.sleep(_LOOK_EVERY)
            await self.refresh()

    async def drain(self) -> None:
        """Say NOT_SERVING of everything from now on, so that balancers look elsewhere."""
        await self.servicer.enter_graceful_shutdown()

    async def _say(self, service: str, serving: bool, problems: dict[str, str]) -> None:
        if self._said.get(service) == serving:
            return
        self._said[service] = serving
        status = HealthCheckResponse.SERVING if serving else HealthCheckResponse.NOT_SERVING
        await self.servicer.set(service, status)
        log.info("health", service=service or "all", serving=serving, **({"problems": problems} if problems else {}))
