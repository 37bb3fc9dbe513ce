"""What the control plane keeps - tenants, versions, keys, changes, usage - as the wire's messages."""

from __future__ import annotations

from datetime import datetime

from google.protobuf import timestamp_pb2

from cascade_api.v1 import admin_pb2
from cascade_server.control.state import AuditEntry, Key, Role, Rollout, TenantState, Usage, Version
from cascade_server.convert.quota import quota_message

ROLES: dict[Role, admin_pb2.Role.ValueType] = {
    Role.READER: admin_pb2.ROLE_READER,
    Role.WRITER: admin_pb2.ROLE_WRITER,
    Role.ADMIN: admin_pb2.ROLE_ADMIN,
}


def tenant_message(tenant: TenantState) -> admin_pb2.Tenant:
    """A tenant with its quota and what is served for it."""
    return admin_pb2.Tenant(
        name=tenant.name,
        quota=quota_message(tenant.quota),
        rollouts=[rollout_message(tenant.rollouts[name]) for name in sorted(tenant.rollouts)],
        created_at=_timestamp(tenant.created_at),
    )


def rollout_message(rollout: Rollout) -> admin_pb2.Rollout:
    """Which versions answer; 0 on the wire is none."""
    return admin_pb2.Rollout(
        cascade=rollout.cascade,
        active_version=rollout.active,
        previous_version=rollout.previous or 0,
        canary_version=rollout.canary or 0,
        canary_percent=rollout.canary_percent,
        shadow_version=rollout.shadow or 0,
        shadow_percent=rollout.shadow_percent,
    )


def version_message(version: Version, *, with_text: bool = False) -> admin_pb2.CascadeVersion:
    """A version, with its text where that is asked for."""
    return admin_pb2.CascadeVersion(
        tenant=version.tenant,
        cascade=version.cascade,
        version=version.number,
        config_hash=version.config_hash,
        description=version.description,
        created_by=version.created_by,
        created_at=_timestamp(version.created_at),
        text=version.text if with_text else "",
    )


def key_message(key: Key) -> admin_pb2.Key:
    """A key without its secret."""
    return admin_pb2.Key(
        key_id=key.key_id,
        tenant=key.tenant or "",
        role=ROLES[key.role],
        label=key.label,
        certificate_name=key.certificate_name or "",
        created_at=_timestamp(key.created_at),
        expires_at=None if key.expires_at is None else _timestamp(key.expires_at),
        revoked_at=None if key.revoked_at is None else _timestamp(key.revoked_at),
    )


def audit_message(entry: AuditEntry) -> admin_pb2.AuditEntry:
    """One change."""
    return admin_pb2.AuditEntry(
        number=entry.number,
        at=_timestamp(entry.at),
        actor=entry.actor,
        action=entry.action,
        tenant=entry.tenant,
        subject=entry.subject,
        before=entry.before,
        after=entry.after,
    )


def usage_message(usage: Usage) -> admin_pb2.Usage:
    """One day of one cascade; no cost where nothing had a price."""
    return admin_pb2.Usage(
        tenant=usage.tenant,
        cascade=usage.cascade,
        day=usage.day,
        requests=usage.requests,
        degraded=usage.degraded,
        tokens=usage.tokens,
        cost=usage.cost,
    )


def _timestamp(at: datetime) -> timestamp_pb2.Timestamp:
    message = timestamp_pb2.Timestamp()
    message.FromDatetime(at)
    return message
