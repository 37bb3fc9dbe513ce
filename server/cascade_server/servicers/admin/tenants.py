"""The calls about tenants."""

from __future__ import annotations

from typing import Any

import grpc

from cascade_api.v1 import admin_pb2
from cascade_server.control.plane import ControlPlane
from cascade_server.convert.admin import tenant_message
from cascade_server.convert.admin_requests import first_quota, name_of, next_quota
from cascade_server.servicers.admin.permissions import caller, operator

Context = grpc.aio.ServicerContext[Any, Any]


class TenantCalls:
    """Operators make, change and remove tenants; a tenant's admin sees its own."""

    _plane: ControlPlane

    async def CreateTenant(
        self, request: admin_pb2.CreateTenantRequest, context: Context
    ) -> admin_pb2.CreateTenantResponse:
        """See the proto."""
        actor = operator()
        quota = first_quota(request)
        made = await self._plane.change(self._plane.store.create_tenant, actor, request.name, quota)
        return admin_pb2.CreateTenantResponse(tenant=tenant_message(made))

    async def SetQuota(self, request: admin_pb2.SetQuotaRequest, context: Context) -> admin_pb2.SetQuotaResponse:
        """See the proto."""
        actor = operator()
        quota = next_quota(request)
        made = await self._plane.change(self._plane.store.set_quota, actor, request.tenant, quota)
        return admin_pb2.SetQuotaResponse(tenant=tenant_message(made))

    async def ListTenants(
        self, request: admin_pb2.ListTenantsRequest, context: Context
    ) -> admin_pb2.ListTenantsResponse:
        """See the proto."""
        own = caller().tenant
        found = await self._plane.read(self._plane.store.tenants)
        seen = [tenant_message(tenant) for tenant in found if own in (None, tenant.name)]
        return admin_pb2.ListTenantsResponse(tenants=seen)

    async def DeleteTenant(
        self, request: admin_pb2.DeleteTenantRequest, context: Context
    ) -> admin_pb2.DeleteTenantResponse:
        """See the proto."""
        actor = operator()
        await self._plane.change(self._plane.store.delete_tenant, actor, name_of(request.name, "name"))
        return admin_pb2.DeleteTenantResponse()
