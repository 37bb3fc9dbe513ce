"""IndexService: keeps the documents of a tenant's indexes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import grpc

from cascade.config import DenseConfig, LateInteractionConfig
from cascade.errors import ModelLoadError
from cascade_api.v1 import index_pb2, index_pb2_grpc
from cascade_server.convert.descriptions import index_message
from cascade_server.convert.requests import deletion, index_name, upsert
from cascade_server.indexes import Indexes
from cascade_server.interceptors.record import current
from cascade_server.overload.permits import Permits
from cascade_server.settings import Settings
from cascade_server.tenants import Tenant, Tenants

Context = grpc.aio.ServicerContext[Any, Any]


class IndexServicer(index_pb2_grpc.IndexServiceServicer):
    """Thin: requests are checked in `convert`, and documents are kept by `cascade.index`."""

    def __init__(self, tenants: Tenants, indexes: Indexes, upserts: Permits, settings: Settings) -> None:
        self._tenants = tenants
        self._indexes = indexes
        self._upserts = upserts
        self._settings = settings

    async def CreateIndex(
        self, request: index_pb2.CreateIndexRequest, context: Context
    ) -> index_pb2.CreateIndexResponse:
        """See the proto."""
        tenant = self._tenants.get(current().acting_tenant)
        name = _noted(index_name(request.name))
        encoder = self._encoder(tenant, request.encoder)
        info = await self._indexes.create(tenant.name, name, encoder, _token_vectors(tenant, request.token_vectors))
        return index_pb2.CreateIndexResponse(index=index_message(info))

    async def UpsertDocuments(
        self, requests: AsyncIterator[index_pb2.UpsertDocumentsRequest], context: Context
    ) -> index_pb2.UpsertDocumentsResponse:
        """See the proto."""
        tenant = self._tenants.get(current().acting_tenant)
        with self._upserts.take(tenant.account):
            asked = await upsert(requests, self._settings)
            _noted(asked.index)
            current().fields["documents"] = len(asked.documents)
            change = await self._indexes.upsert(tenant.name, asked.index, asked.documents)
        return index_pb2.UpsertDocumentsResponse(
            added=change.added, replaced=change.replaced, index=index_message(change.info)
        )

    async def DeleteDocuments(
        self, request: index_pb2.DeleteDocumentsRequest, context: Context
    ) -> index_pb2.DeleteDocumentsResponse:
        """See the proto."""
        tenant = self._tenants.get(current().acting_tenant)
        name, doc_ids = deletion(request)
        _noted(name)
        change = await self._indexes.delete(tenant.name, name, doc_ids)
        return index_pb2.DeleteDocumentsResponse(deleted=change.deleted, index=index_message(change.info))

    async def GetIndex(self, request: index_pb2.GetIndexRequest, context: Context) -> index_pb2.GetIndexResponse:
        """See the proto."""
        tenant = self._tenants.get(current().acting_tenant)
        index = await self._indexes.open(tenant.name, _noted(index_name(request.name)))
        return index_pb2.GetIndexResponse(index=index_message(index.info))

    async def ListIndexes(
        self, request: index_pb2.ListIndexesRequest, context: Context
    ) -> index_pb2.ListIndexesResponse:
        """See the proto."""
        tenant = self._tenants.get(current().acting_tenant)
        found = await self._indexes.list(tenant.name)
        return index_pb2.ListIndexesResponse(indexes=[index_message(info) for info in found])

    async def DropIndex(self, request: index_pb2.DropIndexRequest, context: Context) -> index_pb2.DropIndexResponse:
        """See the proto."""
        tenant = self._tenants.get(current().acting_tenant)
        await self._indexes.drop(tenant.name, _noted(index_name(request.name)))
        return index_pb2.DropIndexResponse()

    def _encoder(self, tenant: Tenant, asked: str) -> str:
        """The encoder for a new index: callers choose among the operator's models and cannot have others loaded."""
        named = {r.model for config in tenant.configs for r in config.retrieve if isinstance(r, DenseConfig)}
        allowed = named | {self._settings.default_encoder}
        encoder = asked or self._settings.default_encoder
        if encoder not in allowed:
            choice = ", ".join(sorted(allowed))
            raise ModelLoadError(encoder, f"no cascade of tenant {tenant.name!r} uses it; expected one of {choice}")
        return encoder


def _token_vectors(tenant: Tenant, asked: str) -> str:
    """The multi-vector model for a new index, empty for none: one that a tier of the tenant can use."""
    tiers = [tier for config in tenant.configs for tier in config.tiers]
    allowed = {tier.model for tier in tiers if isinstance(tier, LateInteractionConfig)}
    if asked and asked not in allowed:
        choice = f"expected one of {', '.join(sorted(allowed))}" if allowed else "and none of its tiers uses another"
        problem = f"no late_interaction tier of tenant {tenant.name!r} uses it for token vectors, {choice}"
        raise ModelLoadError(asked, problem)
    return asked


def _noted(index: str) -> str:
    current().fields["index"] = index
    return index
