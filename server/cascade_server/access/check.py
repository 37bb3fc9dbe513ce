"""The check that every call passes before anything is done or read for it."""

from __future__ import annotations

from typing import Any

import grpc

from cascade_server.access.authenticator import Authenticator
from cascade_server.access.roles import acting_tenant, check_role, named_tenant
from cascade_server.interceptors.record import Record

Context = grpc.aio.ServicerContext[Any, Any]


class AccessCheck:
    """Nobody passes without being known, having the role that the call takes, and acting for a tenant of its own."""

    def __init__(self, authenticator: Authenticator) -> None:
        self._authenticator = authenticator

    async def admit(self, record: Record, context: Context) -> None:
        """Note in `record` who calls and for which tenant.

        Raises UnauthenticatedError, PermissionDeniedError, or InvalidInputError for metadata that names two tenants.
        """
        principal = await self._authenticator.authenticate(context)
        record.principal = principal
        record.fields["subject"] = principal.subject
        check_role(principal, record.method)
        metadata = context.invocation_metadata() or ()
        record.named_tenant = named_tenant(metadata)
        record.acting_tenant = acting_tenant(principal, metadata)
