"""Calls that change who may use a server and what it runs, for asyncio programs."""

# ruff: noqa: ASYNC109 - a timeout is sent to the server as the call's deadline, which asyncio.timeout cannot do

from __future__ import annotations

from datetime import datetime
from typing import Protocol, TypeVar

from cascade_client import admin_calls
from cascade_client.admin_types import (
    AuditEntry,
    CascadeVersion,
    Difference,
    Key,
    NewKey,
    PutResult,
    Role,
    Rollout,
    Tenant,
    Usage,
    Validation,
    Versions,
)
from cascade_client.calls import Call
from cascade_client.types import Quota

T = TypeVar("T")


class AsyncSend(Protocol):
    """Makes a call and returns its answer; raises ClientError."""

    async def __call__(self, call: Call[T], timeout: float | None) -> T: ...


class AsyncAdmin:
    """The methods of `Admin`, awaited."""

    def __init__(self, send: AsyncSend) -> None:
        self._send = send

    async def create_tenant(self, name: str, quota: Quota | None = None, *, timeout: float | None = None) -> Tenant:
        """As Admin.create_tenant."""
        return await self._send(admin_calls.create_tenant(name, quota or Quota()), timeout)

    async def set_quota(self, tenant: str, quota: Quota, *, timeout: float | None = None) -> Tenant:
        """As Admin.set_quota."""
        return await self._send(admin_calls.set_quota(tenant, quota), timeout)

    async def list_tenants(self, *, timeout: float | None = None) -> tuple[Tenant, ...]:
        """As Admin.list_tenants."""
        return await self._send(admin_calls.list_tenants(), timeout)

    async def delete_tenant(self, name: str, *, timeout: float | None = None) -> None:
        """As Admin.delete_tenant."""
        await self._send(admin_calls.delete_tenant(name), timeout)

    async def validate_cascade(
        self, text: str, *, tenant: str = "", load: bool = False, timeout: float | None = None
    ) -> Validation:
        """As Admin.validate_cascade."""
        return await self._send(admin_calls.validate_cascade(text, tenant, load), timeout)

    async def put_cascade(
        self, cascade: str, text: str, *, tenant: str = "", timeout: float | None = None
    ) -> PutResult:
        """As Admin.put_cascade."""
        return await self._send(admin_calls.put_cascade(cascade, text, tenant), timeout)

    async def list_versions(self, cascade: str = "", *, tenant: str = "", timeout: float | None = None) -> Versions:
        """As Admin.list_versions."""
        return await self._send(admin_calls.list_versions(cascade, tenant), timeout)

    async def get_version(
        self, cascade: str, version: int = 0, *, tenant: str = "", timeout: float | None = None
    ) -> CascadeVersion:
        """As Admin.get_version."""
        return await self._send(admin_calls.get_version(cascade, version, tenant), timeout)

    async def diff(
        self,
        cascade: str,
        from_version: int = 0,
        to_version: int = 0,
        *,
        tenant: str = "",
        timeout: float | None = None,
    ) -> Difference:
        """As Admin.diff."""
        return await self._send(admin_calls.diff(cascade, from_version, to_version, tenant), timeout)

    async def activate(self, cascade: str, version: int, *, tenant: str = "", timeout: float | None = None) -> Rollout:
        """As Admin.activate."""
        return await self._send(admin_calls.activate(cascade, version, tenant), timeout)

    async def roll_back(self, cascade: str, *, tenant: str = "", timeout: float | None = None) -> Rollout:
        """As Admin.roll_back."""
        return await self._send(admin_calls.roll_back(cascade, tenant), timeout)

    async def set_canary(
        self, cascade: str, version: int, percent: float, *, tenant: str = "", timeout: float | None = None
    ) -> Rollout:
        """As Admin.set_canary."""
        return await self._send(admin_calls.set_canary(cascade, version, percent, tenant), timeout)

    async def set_shadow(
        self, cascade: str, version: int, percent: float, *, tenant: str = "", timeout: float | None = None
    ) -> Rollout:
        """As Admin.set_shadow."""
        return await self._send(admin_calls.set_shadow(cascade, version, percent, tenant), timeout)

    async def deactivate(self, cascade: str, *, tenant: str = "", timeout: float | None = None) -> None:
        """As Admin.deactivate."""
        await self._send(admin_calls.deactivate(cascade, tenant), timeout)

    async def create_key(
        self,
        role: Role | str,
        *,
        tenant: str = "",
        label: str = "",
        expires_at: datetime | None = None,
        certificate_name: str = "",
        timeout: float | None = None,
    ) -> NewKey:
        """As Admin.create_key."""
        return await self._send(admin_calls.create_key(role, tenant, label, expires_at, certificate_name), timeout)

    async def list_keys(self, *, tenant: str = "", timeout: float | None = None) -> tuple[Key, ...]:
        """As Admin.list_keys."""
        return await self._send(admin_calls.list_keys(tenant), timeout)

    async def revoke_key(self, key_id: str, *, timeout: float | None = None) -> Key:
        """As Admin.revoke_key."""
        return await self._send(admin_calls.revoke_key(key_id), timeout)

    async def list_audit_entries(
        self, *, tenant: str = "", limit: int = 0, before: int = 0, timeout: float | None = None
    ) -> tuple[AuditEntry, ...]:
        """As Admin.list_audit_entries."""
        return await self._send(admin_calls.list_audit_entries(tenant, limit, before), timeout)

    async def get_usage(
        self, *, tenant: str = "", since: str = "", until: str = "", timeout: float | None = None
    ) -> tuple[Usage, ...]:
        """As Admin.get_usage."""
        return await self._send(admin_calls.get_usage(tenant, since, until), timeout)
