"""Every call of AdminService, described once for both transports."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, TypeVar

from google.protobuf.message import Message

from cascade_api.v1 import admin_pb2, quota_pb2
from cascade_client import admin_decode, encode
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
from cascade_client.calls import Call, described
from cascade_client.types import Priority, Quota

T = TypeVar("T")

_PRIORITIES = {
    Priority.HIGH: quota_pb2.PRIORITY_HIGH,
    Priority.NORMAL: quota_pb2.PRIORITY_NORMAL,
    Priority.LOW: quota_pb2.PRIORITY_LOW,
}
_ROLES = {Role.READER: admin_pb2.ROLE_READER, Role.WRITER: admin_pb2.ROLE_WRITER, Role.ADMIN: admin_pb2.ROLE_ADMIN}
_NUMBERS = (
    "tokens_per_second",
    "burst_tokens",
    "max_concurrent_requests",
    "max_depth",
    "max_documents",
    "max_request_tokens",
)


def create_tenant(name: str, quota: Quota) -> Call[Tenant]:
    """Add a tenant."""
    request = admin_pb2.CreateTenantRequest()
    encode.assign(request, name=name)
    _quota(request.quota, quota)
    return _admin("CreateTenant", request, _tenant_of, idempotent=False)


def set_quota(tenant: str, quota: Quota) -> Call[Tenant]:
    """Replace a tenant's quota."""
    request = admin_pb2.SetQuotaRequest()
    encode.assign(request, tenant=tenant)
    _quota(request.quota, quota)
    return _admin("SetQuota", request, _tenant_of)


def list_tenants() -> Call[tuple[Tenant, ...]]:
    """List tenants."""
    return _admin("ListTenants", admin_pb2.ListTenantsRequest(), admin_decode.tenants)


def delete_tenant(name: str) -> Call[None]:
    """Remove a tenant."""
    request = admin_pb2.DeleteTenantRequest()
    encode.assign(request, name=name)
    return _admin("DeleteTenant", request, lambda _: None, idempotent=False)


def validate_cascade(text: str, tenant: str, load: bool) -> Call[Validation]:
    """Say what is wrong with a cascade."""
    request = admin_pb2.ValidateCascadeRequest()
    encode.assign(request, tenant=tenant, text=text, load=load)
    return _admin("ValidateCascade", request, admin_decode.validation)


def put_cascade(cascade: str, text: str, tenant: str) -> Call[PutResult]:
    """Keep a version; the same again is the same version."""
    request = admin_pb2.PutCascadeRequest()
    encode.assign(request, tenant=tenant, cascade=cascade, text=text)
    return _admin("PutCascade", request, admin_decode.put_result)


def list_versions(cascade: str, tenant: str) -> Call[Versions]:
    """List versions."""
    request = admin_pb2.ListCascadeVersionsRequest()
    encode.assign(request, tenant=tenant, cascade=cascade)
    return _admin("ListCascadeVersions", request, admin_decode.versions)


def get_version(cascade: str, version: int, tenant: str) -> Call[CascadeVersion]:
    """One version with its text."""
    request = admin_pb2.GetCascadeVersionRequest()
    encode.assign(request, tenant=tenant, cascade=cascade, version=version)
    return _admin("GetCascadeVersion", request, lambda response: admin_decode.version(response.version))


def diff(cascade: str, from_version: int, to_version: int, tenant: str) -> Call[Difference]:
    """Compare two versions."""
    request = admin_pb2.DiffCascadeRequest()
    encode.assign(request, tenant=tenant, cascade=cascade, from_version=from_version, to_version=to_version)
    return _admin("DiffCascade", request, admin_decode.difference)


def activate(cascade: str, version: int, tenant: str) -> Call[Rollout]:
    """Have a version answer."""
    request = admin_pb2.ActivateCascadeRequest()
    encode.assign(request, tenant=tenant, cascade=cascade, version=version)
    return _admin("ActivateCascade", request, _rollout_of)


def roll_back(cascade: str, tenant: str) -> Call[Rollout]:
    """Have the version before answer; twice would lead elsewhere."""
    request = admin_pb2.RollBackCascadeRequest()
    encode.assign(request, tenant=tenant, cascade=cascade)
    return _admin("RollBackCascade", request, _rollout_of, idempotent=False)


def set_canary(cascade: str, version: int, percent: float, tenant: str) -> Call[Rollout]:
    """Have a version answer some."""
    request = admin_pb2.SetCanaryRequest()
    encode.assign(request, tenant=tenant, cascade=cascade, version=version, percent=percent)
    return _admin("SetCanary", request, _rollout_of)


def set_shadow(cascade: str, version: int, percent: float, tenant: str) -> Call[Rollout]:
    """Have a version run on copies."""
    request = admin_pb2.SetShadowRequest()
    encode.assign(request, tenant=tenant, cascade=cascade, version=version, percent=percent)
    return _admin("SetShadow", request, _rollout_of)


def deactivate(cascade: str, tenant: str) -> Call[None]:
    """Stop serving a cascade."""
    request = admin_pb2.DeactivateCascadeRequest()
    encode.assign(request, tenant=tenant, cascade=cascade)
    return _admin("DeactivateCascade", request, lambda _: None, idempotent=False)


def create_key(
    role: Role | str, tenant: str, label: str, expires_at: datetime | None, certificate_name: str
) -> Call[NewKey]:
    """Make a key."""
    request = admin_pb2.CreateKeyRequest()
    encode.assign(request, tenant=tenant, label=label, certificate_name=certificate_name)
    if role not in _ROLES:
        raise encode.refuse("role", f"found {role!r}, expected one of {', '.join(_ROLES)}")
    request.role = _ROLES[Role(role)]
    if expires_at is not None:
        if expires_at.tzinfo is None:
            raise encode.refuse("expires_at", "found a time without a time zone, such as datetime.UTC")
        with encode.fits("expires_at"):
            request.expires_at.FromDatetime(expires_at.astimezone(UTC))
    return _admin("CreateKey", request, admin_decode.new_key, idempotent=False)


def list_keys(tenant: str) -> Call[tuple[Key, ...]]:
    """List keys."""
    request = admin_pb2.ListKeysRequest()
    encode.assign(request, tenant=tenant)
    return _admin("ListKeys", request, admin_decode.keys)


def revoke_key(key_id: str) -> Call[Key]:
    """End a key."""
    request = admin_pb2.RevokeKeyRequest()
    encode.assign(request, key_id=key_id)
    return _admin("RevokeKey", request, lambda response: admin_decode.key(response.key))


def list_audit_entries(tenant: str, limit: int, before: int) -> Call[tuple[AuditEntry, ...]]:
    """List changes."""
    request = admin_pb2.ListAuditEntriesRequest()
    encode.assign(request, tenant=tenant, limit=limit, before=before)
    return _admin("ListAuditEntries", request, admin_decode.audit_entries)


def get_usage(tenant: str, since: str, until: str) -> Call[tuple[Usage, ...]]:
    """Sum up what was used."""
    request = admin_pb2.GetUsageRequest()
    encode.assign(request, tenant=tenant, since=since, until=until)
    return _admin("GetUsage", request, admin_decode.usage)


def _quota(message: quota_pb2.Quota, quota: Quota) -> None:
    """Write `quota` into a message, which is there from now on even if nothing is limited."""
    message.SetInParent()
    for name in _NUMBERS:
        with encode.fits(f"quota.{name}"):
            setattr(message, name, getattr(quota, name) or 0)
    with encode.fits("quota.weight"):
        message.weight = quota.weight
    if quota.priority not in _PRIORITIES:
        raise encode.refuse("quota.priority", f"found {quota.priority!r}, expected one of {', '.join(_PRIORITIES)}")
    message.priority = _PRIORITIES[quota.priority]


def _tenant_of(response: Any) -> Tenant:
    return admin_decode.tenant(response.tenant)


def _rollout_of(response: Any) -> Rollout:
    return admin_decode.rollout(response.rollout)


def _admin(method: str, request: Message, read: Callable[[Any], T], *, idempotent: bool = True) -> Call[T]:
    return described(admin_pb2, "AdminService", method, request, read, idempotent=idempotent)
