"""ServerService: says what this server offers."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

import grpc

from cascade.build import Models
from cascade_api.v1 import server_pb2, server_pb2_grpc
from cascade_server.convert.descriptions import cascade_message, limits_message, model_message
from cascade_server.convert.quota import quota_message
from cascade_server.convert.responses import stage_models
from cascade_server.interceptors.record import current
from cascade_server.overload.quotas import enforced
from cascade_server.settings import Settings
from cascade_server.tenants import Tenants


class InfoServicer(server_pb2_grpc.ServerServiceServicer):
    """Shows a tenant its own cascades, and the models that these use."""

    def __init__(self, tenants: Tenants, models: Models, settings: Settings) -> None:
        self._tenants = tenants
        self._models = models
        self._settings = settings

    async def GetInfo(
        self, request: server_pb2.GetInfoRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> server_pb2.GetInfoResponse:
        """See the proto."""
        tenant = self._tenants.get(current().acting_tenant)
        active = [s.active for _, s in sorted(tenant.serving.items()) if s.active is not None]
        named = {model for wired in active for model in stage_models(wired.cascade.config).values()}
        return server_pb2.GetInfoResponse(
            version=version("cascade-ranking"),
            tenant=tenant.name,
            cascades=[cascade_message(wired.cascade, wired.number) for wired in active],
            models=[model_message(s) for s in self._models.status() if s.model in named],
            limits=limits_message(self._settings),
            quota=quota_message(enforced(tenant.quota)),
        )
