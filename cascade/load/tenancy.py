"""Tenants with keys and a cascade each, made over the wire on servers that nobody has a key of yet."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Iterable, Mapping
from dataclasses import dataclass, field

import grpc

from cascade.load.workload import Workload
from cascade_api.v1 import ranking_pb2, ranking_pb2_grpc
from cascade_client import AsyncClient
from cascade_client.admin_types import Role
from cascade_client.errors import from_rpc

_PATIENCE = 120.0
_POLL = 0.05
_NOT_YET = {
    grpc.StatusCode.NOT_FOUND,
    grpc.StatusCode.UNAUTHENTICATED,
    grpc.StatusCode.FAILED_PRECONDITION,
    grpc.StatusCode.RESOURCE_EXHAUSTED,
    grpc.StatusCode.UNAVAILABLE,
}


@dataclass(frozen=True, slots=True)
class Tenancy:
    """The keys that were made: an operator's, and one of each tenant."""

    operator: str = field(repr=False)
    keys: Mapping[str, str] = field(repr=False)

    def metadata(self, tenant: str) -> tuple[tuple[str, str], ...]:
        """What a call of the tenant carries."""
        return (("authorization", f"Bearer {self.keys[tenant]}"),)

    def client(self, target: str) -> AsyncClient:
        """A client that may do anything; it does not try again, so that what fails is seen."""
        return AsyncClient(target, api_key=self.operator, retries=0)


async def provide(target: str, tenants: Mapping[str, Iterable[Workload]]) -> Tenancy:
    """Make an operator's key, and each tenant with a key and its cascades, active. Raises ClientError."""
    async with AsyncClient(target) as stranger:
        operator = (await stranger.admin.create_key(Role.ADMIN, label="cascade load")).secret
    keys = {}
    async with AsyncClient(target, api_key=operator) as client:
        for tenant, workloads in tenants.items():
            await client.admin.create_tenant(tenant)
            for work in workloads:
                made = await client.admin.put_cascade(work.cascade, work.text, tenant=tenant)
                await client.admin.activate(work.cascade, made.version.version, tenant=tenant, timeout=_PATIENCE)
            keys[tenant] = (await client.admin.create_key(Role.READER, tenant=tenant, label="cascade load")).secret
    return Tenancy(operator, keys)


async def until_answered(target: str, tenancy: Tenancy, tenants: Mapping[str, Iterable[Workload]]) -> None:
    """Return once the server at `target` answers every tenant by each cascade. Raises ClientError, TimeoutError."""
    async with grpc.aio.insecure_channel(target) as channel:
        rank = ranking_pb2_grpc.RankingServiceStub(channel).Rank
        for tenant, workloads in tenants.items():
            for work in workloads:
                request = ranking_pb2.RankRequest.FromString(work.requests[0])
                patience = time.monotonic() + _PATIENCE
                while problem := await _problem(rank(request, metadata=tenancy.metadata(tenant), timeout=_PATIENCE)):
                    if time.monotonic() > patience:
                        raise TimeoutError(f"tenant {tenant!r} is not answered by cascade {work.cascade!r}: {problem}")
                    await asyncio.sleep(_POLL)


async def _problem(answer: Awaitable[object]) -> str:
    """Why there is no answer yet, empty when there is one. Raises ClientError where waiting does not help."""
    try:
        await answer
    except grpc.aio.AioRpcError as error:
        if error.code() not in _NOT_YET:
            raise from_rpc(error) from error
        return error.details() or error.code().name
    return ""
