"""What the control plane keeps, as plain frozen values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from cascade_client.types import Quota


class Role(StrEnum):
    """What a caller may do; each role may do what those before it may."""

    UNKNOWN = "unknown"
    READER = "reader"
    WRITER = "writer"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class Rollout:
    """Which versions of a cascade answer, None where there is none; percentages are of its requests."""

    cascade: str
    active: int
    previous: int | None = None
    canary: int | None = None
    canary_percent: float = 0.0
    shadow: int | None = None
    shadow_percent: float = 0.0


@dataclass(frozen=True, slots=True)
class Tenant:
    """A tenant, what it may use, and its cascades that are served from the store, by name."""

    name: str
    created_at: datetime
    quota: Quota
    rollouts: Mapping[str, Rollout] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CascadeVersion:
    """An immutable version of a cascade; `text` is YAML as it was put, empty in lists."""

    tenant: str
    cascade: str
    version: int
    config_hash: str
    description: str
    created_by: str
    created_at: datetime
    text: str = ""


@dataclass(frozen=True, slots=True)
class PutResult:
    """The version that a put made, or found with the same content."""

    version: CascadeVersion
    created: bool


@dataclass(frozen=True, slots=True)
class Versions:
    """Versions by cascade, newest first, and which of them answer, by cascade."""

    versions: tuple[CascadeVersion, ...]
    rollouts: Mapping[str, Rollout]


@dataclass(frozen=True, slots=True)
class Validation:
    """Everything that is wrong with a cascade; `config_hash` is empty when anything is."""

    problems: tuple[str, ...]
    config_hash: str


@dataclass(frozen=True, slots=True)
class Difference:
    """A unified diff of two texts, and what means something else in them."""

    diff: str
    changes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Key:
    """A key without its secret; `tenant` empty is an operator's; a certificate of `certificate_name` stands for it."""

    key_id: str
    tenant: str
    role: Role
    label: str
    created_at: datetime
    certificate_name: str = ""
    expires_at: datetime | None = None
    revoked_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key with its secret, which is shown this once and is empty for a certificate."""

    key: Key
    secret: str = field(repr=False)


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
    requests: int
    degraded: int
    tokens: int
    cost: float | None = None
