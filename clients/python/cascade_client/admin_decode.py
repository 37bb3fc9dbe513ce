"""From the control plane's messages to the client's values."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from google.protobuf.timestamp_pb2 import Timestamp

from cascade_api.v1 import admin_pb2
from cascade_client import decode
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

_ROLES = {admin_pb2.ROLE_READER: Role.READER, admin_pb2.ROLE_WRITER: Role.WRITER, admin_pb2.ROLE_ADMIN: Role.ADMIN}


def tenant(message: admin_pb2.Tenant) -> Tenant:
    """A tenant."""
    return Tenant(message.name, _moment(message.created_at), decode.quota(message.quota), rollouts(message.rollouts))


def tenants(message: admin_pb2.ListTenantsResponse) -> tuple[Tenant, ...]:
    """Several tenants."""
    return tuple(tenant(one) for one in message.tenants)


def rollout(message: admin_pb2.Rollout) -> Rollout:
    """Which versions answer."""
    return Rollout(
        cascade=message.cascade,
        active=message.active_version,
        previous=message.previous_version or None,
        canary=message.canary_version or None,
        canary_percent=message.canary_percent,
        shadow=message.shadow_version or None,
        shadow_percent=message.shadow_percent,
    )


def rollouts(messages: Iterable[admin_pb2.Rollout]) -> dict[str, Rollout]:
    """Which versions answer, by cascade."""
    return {message.cascade: rollout(message) for message in messages}


def version(message: admin_pb2.CascadeVersion) -> CascadeVersion:
    """A version."""
    return CascadeVersion(
        tenant=message.tenant,
        cascade=message.cascade,
        version=message.version,
        config_hash=message.config_hash,
        description=message.description,
        created_by=message.created_by,
        created_at=_moment(message.created_at),
        text=message.text,
    )


def versions(message: admin_pb2.ListCascadeVersionsResponse) -> Versions:
    """Several versions, and which of them answer."""
    return Versions(tuple(version(one) for one in message.versions), rollouts(message.rollouts))


def put_result(message: admin_pb2.PutCascadeResponse) -> PutResult:
    """What a put made or found."""
    return PutResult(version(message.version), message.created)


def validation(message: admin_pb2.ValidateCascadeResponse) -> Validation:
    """What is wrong with a cascade."""
    return Validation(tuple(message.problems), message.config_hash)


def difference(message: admin_pb2.DiffCascadeResponse) -> Difference:
    """How two versions differ."""
    return Difference(message.diff, tuple(message.changes))


def key(message: admin_pb2.Key) -> Key:
    """A key."""
    return Key(
        key_id=message.key_id,
        tenant=message.tenant,
        role=_ROLES.get(message.role, Role.UNKNOWN),
        label=message.label,
        created_at=_moment(message.created_at),
        certificate_name=message.certificate_name,
        expires_at=_moment(message.expires_at) if message.HasField("expires_at") else None,
        revoked_at=_moment(message.revoked_at) if message.HasField("revoked_at") else None,
    )


def keys(message: admin_pb2.ListKeysResponse) -> tuple[Key, ...]:
    """Several keys."""
    return tuple(key(one) for one in message.keys)


def new_key(message: admin_pb2.CreateKeyResponse) -> NewKey:
    """A key with its secret."""
    return NewKey(key(message.key), message.secret)


def audit_entries(message: admin_pb2.ListAuditEntriesResponse) -> tuple[AuditEntry, ...]:
    """Several changes."""
    return tuple(
        AuditEntry(e.number, _moment(e.at), e.actor, e.action, e.tenant, e.subject, e.before, e.after)
        for e in message.entries
    )


def usage(message: admin_pb2.GetUsageResponse) -> tuple[Usage, ...]:
    """What was used."""
    return tuple(
        Usage(u.tenant, u.cascade, u.day, u.requests, u.degraded, u.tokens, u.cost if u.HasField("cost") else None)
        for u in message.usage
    )


def _moment(message: Timestamp) -> datetime:
    return message.ToDatetime(tzinfo=UTC)
