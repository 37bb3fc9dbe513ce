"""The calls about what was done and what was used."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import grpc

from cascade.errors import InvalidInputError, Violation
from cascade_api.v1 import admin_pb2
from cascade_server.control.plane import ControlPlane
from cascade_server.convert.admin import audit_message, usage_message
from cascade_server.convert.admin_requests import days, entries_limit
from cascade_server.servicers.admin.permissions import looked_at

MAX_ROWS = 50_000
"""Of usage in one answer, which a message holds: a row has about a hundred bytes."""

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
        if len(usage) > MAX_ROWS:
            problem = f"found {len(usage)} rows from {since} to {until}, expected at most {MAX_ROWS}"
            raise InvalidInputError([Violation("since", f"{problem}; ask for fewer days, or for one tenant")])
        return admin_pb2.GetUsageResponse(usage=[usage_message(row) for row in usage])
