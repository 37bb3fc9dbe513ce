"""The tables of the control plane's store."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import Enum as PythonEnum

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    DateTime,
    Dialect,
    Enum,
    Float,
    ForeignKey,
    ForeignKeyConstraint,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
)

from cascade.budget import Priority
from cascade_server.control.state import Role


class Moment(TypeDecorator[datetime]):
    """A point in time, UTC, also where the database keeps no time zone."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """As UTC; SQLite drops the zone."""
        return None if value is None else value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """With its zone."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def _names(kind: type[PythonEnum]) -> Enum:
    return Enum(kind, native_enum=False, create_constraint=False, length=16)


metadata = MetaData()

revision = Table(
    "revision",
    metadata,
    Column("id", Integer, CheckConstraint("id = 1", name="one_revision"), primary_key=True, autoincrement=False),
    Column("number", BigInteger, nullable=False),
)
"""One row: the number of the last change. Who changes anything locks it first, so that changes happen one by one."""

tenants = Table(
    "tenants",
    metadata,
    Column("name", String(63), primary_key=True),
    Column("created_at", Moment, nullable=False),
    Column("tokens_per_second", Float),
    Column("burst_tokens", BigInteger),
    Column("max_concurrent_requests", BigInteger),
    Column("max_depth", BigInteger),
    Column("max_documents", BigInteger),
    Column("max_request_tokens", BigInteger),
    Column("priority", _names(Priority), nullable=False),
    Column("weight", Float, nullable=False),
)

versions = Table(
    "versions",
    metadata,
    Column("tenant", String(63), ForeignKey("tenants.name", ondelete="CASCADE"), primary_key=True),
    Column("cascade", String(63), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("config_hash", String(64), nullable=False),
    Column("description", Text, nullable=False),
    Column("text", Text, nullable=False),
    Column("created_by", Text, nullable=False),
    Column("created_at", Moment, nullable=False),
)


def _is_a_version(column: str) -> ForeignKeyConstraint:
    return ForeignKeyConstraint(
        ["tenant", "cascade", column],
        ["versions.tenant", "versions.cascade", "versions.number"],
        name=f"rollouts_{column}",
        ondelete="CASCADE",
    )


rollouts = Table(
    "rollouts",
    metadata,
    Column("tenant", String(63), primary_key=True),
    Column("cascade", String(63), primary_key=True),
    Column("active", Integer, nullable=False),
    Column("previous", Integer),
    Column("canary", Integer),
    Column("canary_percent", Float, nullable=False),
    Column("shadow", Integer),
    Column("shadow_percent", Float, nullable=False),
    *(_is_a_version(column) for column in ("active", "previous", "canary", "shadow")),
)

keys = Table(
    "keys",
    metadata,
    Column("key_id", String(32), primary_key=True),
    Column("tenant", String(63), index=True),  # no reference: a revoked key is remembered longer than its tenant
    Column("role", _names(Role), nullable=False),
    Column("label", Text, nullable=False),
    Column("certificate_name", Text),
    Column("digest", LargeBinary),
    Column("created_at", Moment, nullable=False),
    Column("expires_at", Moment),
    Column("revoked_at", Moment),
)

audit = Table(
    "audit",
    metadata,
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("at", Moment, nullable=False),
    Column("actor", Text, nullable=False),
    Column("action", String(64), nullable=False),
    Column("tenant", String(63), nullable=False, index=True),
    Column("subject", Text, nullable=False),
    Column("before", Text, nullable=False),
    Column("after", Text, nullable=False),
)
"""One row for each change, numbered by the revision that it led to."""

usage = Table(
    "usage",
    metadata,
    Column("tenant", String(63), primary_key=True),
    Column("cascade", String(63), primary_key=True),
    Column("day", String(10), primary_key=True),
    Column("requests", BigInteger, nullable=False),
    Column("degraded", BigInteger, nullable=False),
    Column("tokens", BigInteger, nullable=False),
    Column("cost", Float),
)
