"""What the store says, as values: tenants, keys, versions of cascades and which of them answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import IntEnum

from cascade.budget import Priority
from cascade.config import CascadeConfig


class Role(IntEnum):
    """What a caller may do; each role may do what those before it may."""

    READER = 1
    WRITER = 2
    ADMIN = 3


@dataclass(frozen=True, slots=True)
class Quota:
    """What a tenant may use, in tokens that models read; None sets no limit of its own.

    `burst_tokens` None stands for ten seconds' worth of `tokens_per_second`.
    """

    tokens_per_second: float | None = None
    burst_tokens: int | None = None
    max_concurrent_requests: int | None = None
    max_depth: int | None = None
    max_documents: int | None = None
    max_request_tokens: int | None = None
    priority: Priority = Priority.NORMAL
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class Version:
    """An immutable version of a cascade; `number` counts from 1 for each tenant and cascade, `text` is YAML as put."""

    tenant: str
    cascade: str
    number: int
    config_hash: str
    description: str
    text: str
    created_by: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Rollout:
    """Which versions of a cascade answer, by number; None where there is none. Percentages are of its requests."""

    cascade: str
    active: int
    previous: int | None = None
    canary: int | None = None
    canary_percent: float = 0.0
    shadow: int | None = None
    shadow_percent: float = 0.0

    @property
    def numbers(self) -> tuple[int, ...]:
        """The versions that run now, the active one first."""
        return tuple(n for n in (self.active, self.canary, self.shadow) if n is not None)


@dataclass(frozen=True, slots=True)
class Key:
    """A key as it may be shown; `tenant` None is an operator's, `certificate_name` a certificate that stands for it."""

    key_id: str
    tenant: str | None
    role: Role
    label: str
    created_at: datetime
    certificate_name: str | None = None
    expires_at: datetime | None = None
    revoked_at: datetime | None = None

    def usable(self, now: datetime) -> bool:
        """Whether it opens anything at `now`."""
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)


@dataclass(frozen=True, slots=True)
class KeyDigest:
    """A key with the SHA-256 digest of its secret, which is None for a certificate."""

    key: Key
    digest: bytes | None


@dataclass(frozen=True, slots=True)
class TenantState:
    """A tenant, its quota, and the cascades that are served for it from the store."""

    name: str
    created_at: datetime
    quota: Quota = Quota()
    rollouts: Mapping[str, Rollout] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class State:
    """All that is in force at `revision`, which grows with every change.

    `configs` has every version that a rollout names, the previous one too, by tenant, cascade and number; `keys` all
    that are neither revoked nor expired when it was read, by key_id. `unreadable` says why versions that should run are
    not in `configs`: their texts mean nothing to this release. `keyed` says whether a key was ever made, also one that
    ended.
    """

    revision: int = 0
    tenants: Mapping[str, TenantState] = field(default_factory=dict)
    configs: Mapping[tuple[str, str, int], CascadeConfig] = field(default_factory=dict)
    keys: Mapping[str, KeyDigest] = field(default_factory=dict)
    unreadable: Mapping[tuple[str, str, int], str] = field(default_factory=dict)
    keyed: bool = False


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One change; `before` and `after` are JSON, empty for what was or is not there."""

    number: int
    at: datetime
    actor: str
    action: str
    tenant: str
    subject: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class Usage:
    """What a tenant used of a cascade on a day (ISO, UTC); `cost` is money, None when nothing had a price."""

    tenant: str
    cascade: str
    day: str
    requests: int = 0
    degraded: int = 0
    tokens: int = 0
    cost: float | None = None
