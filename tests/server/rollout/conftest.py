"""A server whose cascades are changed while it answers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any

import pytest
import pytest_asyncio

from cascade.config import CascadeConfig
from cascade_api.v1 import admin_pb2, admin_pb2_grpc


class Changing:
    """A server with its administrator."""

    def __init__(self, running: Any) -> None:
        self.running = running
        self._admin = admin_pb2_grpc.AdminServiceStub(running.channel)

    async def __call__(self, method: str, **fields: Any) -> Any:
        """A call of AdminService."""
        return await getattr(self._admin, method)(getattr(admin_pb2, f"{method}Request")(**fields))

    async def put(self, cascade: str, *texts: str) -> dict[int, str]:
        """Keep these versions. Returns their hashes by number."""
        made = [(await self("PutCascade", cascade=cascade, text=text)).version for text in texts]
        return {version.version: version.config_hash for version in made}

    async def until(self, holds: Callable[[], Awaitable[object]]) -> None:
        """Return once it does."""
        while not await holds():  # noqa: ASYNC110  # over the network, as an operator would
            await asyncio.sleep(0.01)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def changing(
    serve: Any, configs: Mapping[str, CascadeConfig], tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Changing]:
    """A server that asks its store often, and on which models may be named that lie in its folder."""
    data_dir = tmp_path_factory.mktemp("changing")
    options = {"store_poll_ms": 10, "model_roots": (data_dir / "models",)}
    async with serve(data_dir, {"plain": configs["plain"]}, **options) as running:
        yield Changing(running)
