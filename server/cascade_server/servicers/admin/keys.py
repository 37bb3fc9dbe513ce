"""The calls about keys."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import grpc

from cascade_api.v1 import admin_pb2
from cascade_server.control.plane import ControlPlane
from cascade_server.convert.admin import key_message
from cascade_server.convert.admin_requests import check_key_id, check_tenant, new_key
from cascade_server.servicers.admin.permissions import at_most_own, caller, check_certificate, looked_at

Context = grpc.aio.ServicerContext[Any, Any]


class KeyCalls:
    """A secret is in the answer that makes it and nowhere else."""

    _plane: ControlPlane

    async def CreateKey(self, request: admin_pb2.CreateKeyRequest, context: Context) -> admin_pb2.CreateKeyResponse:
        """See the proto."""
        tenant = looked_at(request.tenant)
        asked = new_key(request, datetime.now(UTC))
        role = at_most_own(asked.role)
        check_certificate(asked.certificate_name)
        create = self._plane.store.create_key
        key, secret = await self._plane.change(
            create, caller().subject, tenant, role, asked.label, asked.expires_at, asked.certificate_name
        )
        return admin_pb2.CreateKeyResponse(key=key_message(key), secret=secret)

    async def ListKeys(self, request: admin_pb2.ListKeysRequest, context: Context) -> admin_pb2.ListKeysResponse:
        """See the proto."""
        tenant = looked_at(request.tenant)
        check_tenant(request.tenant)
        found = await self._plane.read(self._plane.store.keys, tenant)
        newest_first = sorted(found, key=lambda key: key.created_at, reverse=True)
        by_tenant = sorted(newest_first, key=lambda key: key.tenant or "")
        return admin_pb2.ListKeysResponse(keys=[key_message(key) for key in by_tenant])

    async def RevokeKey(self, request: admin_pb2.RevokeKeyRequest, context: Context) -> admin_pb2.RevokeKeyResponse:
        """See the proto."""
        found = caller()
        check_key_id(request.key_id)
        revoke = self._plane.store.revoke_key
        key = await self._plane.change(revoke, found.subject, request.key_id, found.tenant)
        return admin_pb2.RevokeKeyResponse(key=key_message(key))
