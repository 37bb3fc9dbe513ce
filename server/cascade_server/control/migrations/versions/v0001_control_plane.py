"""Tenants, versions of cascades, rollouts, keys, audit entries and usage, and the tenant `default`."""

from datetime import UTC, datetime

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_MOMENT = sa.DateTime(timezone=True)
_NAME = sa.String(63)


def upgrade() -> None:
    """Make the tables."""
    counter = op.create_table(
        "revision",
        sa.Column(
            "id", sa.Integer, sa.CheckConstraint("id = 1", name="one_revision"), primary_key=True, autoincrement=False
        ),
        sa.Column("number", sa.BigInteger, nullable=False),
    )
    tenants = op.create_table(
        "tenants",
        sa.Column("name", _NAME, primary_key=True),
        sa.Column("created_at", _MOMENT, nullable=False),
        sa.Column("tokens_per_second", sa.Float),
        sa.Column("burst_tokens", sa.BigInteger),
        sa.Column("max_concurrent_requests", sa.BigInteger),
        sa.Column("max_depth", sa.BigInteger),
        sa.Column("max_documents", sa.BigInteger),
        sa.Column("max_request_tokens", sa.BigInteger),
        sa.Column("priority", sa.String(16), nullable=False),
        sa.Column("weight", sa.Float, nullable=False),
    )
    op.create_table(
        "versions",
        sa.Column("tenant", _NAME, sa.ForeignKey("tenants.name", ondelete="CASCADE"), primary_key=True),
        sa.Column("cascade", _NAME, primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("config_hash", sa.String(64), nullable=False),
        sa.Column("description", sa.Text, nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("created_by", sa.Text, nullable=False),
        sa.Column("created_at", _MOMENT, nullable=False),
    )
    op.create_table(
        "rollouts",
        sa.Column("tenant", _NAME, primary_key=True),
        sa.Column("cascade", _NAME, primary_key=True),
        sa.Column("active", sa.Integer, nullable=False),
        sa.Column("previous", sa.Integer),
        sa.Column("canary", sa.Integer),
        sa.Column("canary_percent", sa.Float, nullable=False),
        sa.Column("shadow", sa.Integer),
        sa.Column("shadow_percent", sa.Float, nullable=False),
        *(_is_a_version(column) for column in ("active", "previous", "canary", "shadow")),
    )
    op.create_table(
        "keys",
        sa.Column("key_id", sa.String(32), primary_key=True),
        sa.Column("tenant", _NAME, index=True),
        sa.Column("role", sa.String(16), nullable=False),
        sa.Column("label", sa.Text, nullable=False),
        sa.Column("certificate_name", sa.Text),
        sa.Column("digest", sa.LargeBinary),
        sa.Column("created_at", _MOMENT, nullable=False),
        sa.Column("expires_at", _MOMENT),
        sa.Column("revoked_at", _MOMENT),
    )
    audit = op.create_table(
        "audit",
        sa.Column("number", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("at", _MOMENT, nullable=False),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("action", sa.String(64), nullable=False),
        sa.Column("tenant", _NAME, nullable=False, index=True),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("before", sa.Text, nullable=False),
        sa.Column("after", sa.Text, nullable=False),
    )
    op.create_table(
        "usage",
        sa.Column("tenant", _NAME, primary_key=True),
        sa.Column("cascade", _NAME, primary_key=True),
        sa.Column("day", sa.String(10), primary_key=True),
        sa.Column("requests", sa.BigInteger, nullable=False),
        sa.Column("degraded", sa.BigInteger, nullable=False),
        sa.Column("tokens", sa.BigInteger, nullable=False),
        sa.Column("cost", sa.Float),
    )
    now = datetime.now(UTC)
    op.bulk_insert(tenants, [{"name": "default", "created_at": now, "priority": "NORMAL", "weight": 1.0}])
    op.bulk_insert(counter, [{"id": 1, "number": 1}])
    made = {"at": now, "actor": "migration", "action": "create_tenant", "tenant": "default", "subject": "default"}
    op.bulk_insert(
        audit, [{"number": 1, **made, "before": "", "after": '{"quota": {"priority": "normal", "weight": 1.0}}'}]
    )


def downgrade() -> None:
    """Drop the tables, and all that is in them."""
    for table in ("usage", "audit", "keys", "rollouts", "versions", "tenants", "revision"):
        op.drop_table(table)


def _is_a_version(column: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        ["tenant", "cascade", column],
        ["versions.tenant", "versions.cascade", "versions.number"],
        name=f"rollouts_{column}",
        ondelete="CASCADE",
    )
