"""Calls that change who may use a server and what it runs, for programs that wait for their answers."""

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


class Send(Protocol):
    """Makes a call and returns its answer; raises ClientError."""

    def __call__(self, call: Call[T], timeout: float | None) -> T: ...


class Admin:
    """AdminService on behalf of one caller.

    `tenant` empty is the caller's own tenant; an operator may name any. `timeout` and errors are as for the other
    methods of the client; putting a cascade loads nothing, but whatever brings one into force loads its models.
    """

    def __init__(self, send: Send) -> None:
        self._send = send

    def create_tenant(self, name: str, quota: Quota | None = None, *, timeout: float | None = None) -> Tenant:
        """Add a tenant; without a quota it has no limits of its own. Operators only. Raises AlreadyExistsError."""
        return self._send(admin_calls.create_tenant(name, quota or Quota()), timeout)

    def set_quota(self, tenant: str, quota: Quota, *, timeout: float | None = None) -> Tenant:
        """Replace all of a tenant's quota. Operators only."""
        return self._send(admin_calls.set_quota(tenant, quota), timeout)

    def list_tenants(self, *, timeout: float | None = None) -> tuple[Tenant, ...]:
        """The tenants that the caller may see, by name."""
        return self._send(admin_calls.list_tenants(), timeout)

    def delete_tenant(self, name: str, *, timeout: float | None = None) -> None:
        """Remove a tenant's access, keys and cascades; indexes, audit entries and usage stay. Operators only."""
        self._send(admin_calls.delete_tenant(name), timeout)

    def validate_cascade(
        self, text: str, *, tenant: str = "", load: bool = False, timeout: float | None = None
    ) -> Validation:
        """Say what is wrong with a cascade in YAML, and keep nothing; `load` loads its models too."""
        return self._send(admin_calls.validate_cascade(text, tenant, load), timeout)

    def put_cascade(self, cascade: str, text: str, *, tenant: str = "", timeout: float | None = None) -> PutResult:
        """Keep a cascade as a new version, unless the latest says the same. Raises FailedPreconditionError."""
        return self._send(admin_calls.put_cascade(cascade, text, tenant), timeout)

    def list_versions(self, cascade: str = "", *, tenant: str = "", timeout: float | None = None) -> Versions:
        """The versions of one cascade or of all, without their text."""
        return self._send(admin_calls.list_versions(cascade, tenant), timeout)

    def get_version(
        self, cascade: str, version: int = 0, *, tenant: str = "", timeout: float | None = None
    ) -> CascadeVersion:
        """One version with its text; 0 is the newest."""
        return self._send(admin_calls.get_version(cascade, version, tenant), timeout)

    def diff(
        self,
        cascade: str,
        from_version: int = 0,
        to_version: int = 0,
        *,
        tenant: str = "",
        timeout: float | None = None,
    ) -> Difference:
        """Compare two versions: 0 is the active one to compare from, and the newest to compare with."""
        return self._send(admin_calls.diff(cascade, from_version, to_version, tenant), timeout)

    def activate(self, cascade: str, version: int, *, tenant: str = "", timeout: float | None = None) -> Rollout:
        """Have a version answer, once its models are loaded. Raises FailedPreconditionError if they cannot be."""
        return self._send(admin_calls.activate(cascade, version, tenant), timeout)

    def roll_back(self, cascade: str, *, tenant: str = "", timeout: float | None = None) -> Rollout:
        """Have the version that was active before answer again."""
        return self._send(admin_calls.roll_back(cascade, tenant), timeout)

    def set_canary(
        self, cascade: str, version: int, percent: float, *, tenant: str = "", timeout: float | None = None
    ) -> Rollout:
        """Have a version answer a share of the requests; version 0 with 0 percent ends that."""
        return self._send(admin_calls.set_canary(cascade, version, percent, tenant), timeout)

    def set_shadow(
        self, cascade: str, version: int, percent: float, *, tenant: str = "", timeout: float | None = None
    ) -> Rollout:
        """Have a version rank copies of a share of the requests; version 0 with 0 percent ends that."""
        return self._send(admin_calls.set_shadow(cascade, version, percent, tenant), timeout)

    def deactivate(self, cascade: str, *, tenant: str = "", timeout: float | None = None) -> None:
        """Stop serving a cascade from the store; its versions stay."""
        self._send(admin_calls.deactivate(cascade, tenant), timeout)

    def create_key(
        self,
        role: Role | str,
        *,
        tenant: str = "",
        label: str = "",
        expires_at: datetime | None = None,
        certificate_name: str = "",
        timeout: float | None = None,
    ) -> NewKey:
        """Make a key, or let a client certificate stand for one. Without a tenant an operator makes an operator's."""
        return self._send(admin_calls.create_key(role, tenant, label, expires_at, certificate_name), timeout)

    def list_keys(self, *, tenant: str = "", timeout: float | None = None) -> tuple[Key, ...]:
        """Keys without their secrets, those that no longer work among them; without a tenant an operator sees all."""
        return self._send(admin_calls.list_keys(tenant), timeout)

    def revoke_key(self, key_id: str, *, timeout: float | None = None) -> Key:
        """End a key at once."""
        return self._send(admin_calls.revoke_key(key_id), timeout)

    def list_audit_entries(
        self, *, tenant: str = "", limit: int = 0, before: int = 0, timeout: float | None = None
    ) -> tuple[AuditEntry, ...]:
        """The last `limit` changes, newest first, 0 for 100; `before` the entry of that number."""
        return self._send(admin_calls.list_audit_entries(tenant, limit, before), timeout)

    def get_usage(
        self, *, tenant: str = "", since: str = "", until: str = "", timeout: float | None = None
    ) -> tuple[Usage, ...]:
        """What was used from one day to another (ISO), by day, tenant and cascade; empty has no end."""
        return self._send(admin_calls.get_usage(tenant, since, until), timeout)
