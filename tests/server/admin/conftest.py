"""One server with a store of its own, and callers of its AdminService."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from cascade.config import CascadeConfig
from cascade_api.v1 import admin_pb2, admin_pb2_grpc, ranking_pb2_grpc

V1 = "retrieve: [{kind: bm25}]\ntiers: [{kind: identity, name: keep, depth: 3}]\n"
V2 = "# wider\nretrieve: [{kind: bm25}]\ntiers: [{kind: identity, name: keep, depth: 5}]\n"


class Caller:
    """Calls AdminService and RankingService with one key, or none."""

    def __init__(self, running: Any, secret: str = "", tenant: str = "") -> None:
        self._running = running
        self._stub = admin_pb2_grpc.AdminServiceStub(running.channel)
        self._ranking = ranking_pb2_grpc.RankingServiceStub(running.channel)
        named = {"authorization": f"Bearer {secret}" if secret else "", "x-cascade-tenant": tenant}
        self._metadata = tuple((key, value) for key, value in named.items() if value)

    def __call__(self, method: str, **fields: Any) -> Any:
        """The call, in progress."""
        request = getattr(admin_pb2, f"{method}Request")(**fields)
        return getattr(self._stub, method)(request, metadata=self._metadata)

    def rank(self, **fields: Any) -> Any:
        """A rank request, in progress."""
        return self._ranking.Rank(self._running.request(**fields), metadata=self._metadata)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def operator(
    serve: Any, configs: Mapping[str, CascadeConfig], tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Caller]:
    """An operator of a server whose tenants may name models under its data folder only."""
    data_dir = tmp_path_factory.mktemp("admin")
    async with serve(data_dir, {"plain": configs["plain"]}, model_roots=(data_dir / "models",)) as running:
        made = await Caller(running)("CreateKey", role=admin_pb2.ROLE_ADMIN, label="the first")
        yield Caller(running, made.secret)


@pytest.fixture
def caller(operator: Caller) -> Callable[..., Caller]:
    """Another caller of the same server."""

    def make(secret: str = "", tenant: str = "") -> Caller:
        return Caller(operator._running, secret, tenant)

    return make


_names = count(1)


@pytest_asyncio.fixture(loop_scope="session")
async def tenant(operator: Caller) -> str:
    """A tenant of this test alone."""
    name = f"tenant{next(_names)}"
    await operator("CreateTenant", name=name)
    return name


@pytest_asyncio.fixture(loop_scope="session")
async def admin(operator: Caller, caller: Callable[..., Caller], tenant: str) -> Caller:
    """The admin of that tenant."""
    made = await operator("CreateKey", tenant=tenant, role=admin_pb2.ROLE_ADMIN)
    return caller(made.secret)


@pytest_asyncio.fixture(loop_scope="session")
async def search(admin: Caller) -> str:
    """A cascade of that tenant with two versions, none of them active."""
    for text in (V1, V2):
        await admin("PutCascade", cascade="search", text=text)
    return "search"


@pytest.fixture(scope="session")
def empty_model(operator: Caller) -> Path:
    """A folder under the allowed ones in which there is no model."""
    folder: Path = operator._running.server.settings.model_roots[0] / "empty"
    folder.mkdir(parents=True)
    return folder
