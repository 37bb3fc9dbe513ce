"""The calls about what was done and what was used."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import grpc

from cascade_api.v1 import admin_pb2
from cascade_server.control.plane import ControlPlane
from cascade_server.convert.admin import audit_message, usage_message
from cascade_server.convert.admin_requests import days, entries_limit
from cascade_server.servicers.admin.permissions import looked_at

Context = grpc.aio.ServicerContext[Any, Any]


class RecordCalls:
    """Records are read here and changed by nobody."""

    _plane: ControlPlane

    async def ListAuditEntries(
        self, request: admin_pb2.ListAuditEntriesRequest, context: Context
    ) -> admin_pb2.ListAuditEntriesResponse:
        """See the proto."""
        tenant = looked_at(request.tenant)
        limit = entries_limit(request)
        entries = await self._plane.read(self._plane.store.audit, tenant, limit, request.before)
        return admin_pb2.ListAuditEntriesResponse(entries=[audit_message(entry) for entry in entries])

    async def GetUsage(self, request: admin_pb2.GetUsageRequest, context: Context) -> admin_pb2.GetUsageResponse:
        """See the proto."""
        tenant = looked_at(request.tenant)
        since, until = days(request, datetime.now(UTC).date())
        await self._plane.counted()
        usage = await self._plane.read(self._plane.store.usage, tenant, since, until)
        return admin_pb2.GetUsageResponse(usage=[usage_message(row) for row in usage])
