"""The control plane's store: tenants, versions of cascades, keys, audit entries and usage, in SQLite or PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime

from sqlalchemy import select

from cascade.config import CascadeConfig
from cascade_server.control import audit, keys, migrations, rollouts, schema, tenants, usage, versions
from cascade_server.control.database import WAIT_SECONDS, Database
from cascade_server.control.known import require_tenant
from cascade_server.control.snapshot import read_state
from cascade_server.control.state import AuditEntry, Key, Quota, Role, Rollout, State, TenantState, Usage, Version


class Store:
    """Every change is one transaction, with its audit entry and the next revision; what changes nothing is no change.

    Safe to use from many threads, and from many processes on one database. Every method may raise StoreError, and those
    that take names InvalidInputError. `actor` is who changes it, for the audit log.
    """

    def __init__(
        self,
        url: str,
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        wait: float = WAIT_SECONDS,
    ) -> None:
        """Connects to nothing yet, and later waits `wait` seconds at most for a connection or another's change to end.

        Raises ConfigError for a URL that cannot be used.
        """
        self._database = Database(url, clock, wait)
        self._parsed: Mapping[str, CascadeConfig] = {}

    def migrate(self) -> None:
        """Bring the tables to what this release needs; of several processes that start at once, one does it."""
        migrations.upgrade(self._database)

    def revision(self) -> int:
        """The number of the last change, by one cheap query."""
        with self._database.read() as connection:
            return int(connection.execute(select(schema.revision.c.number)).scalar_one())

    def state(self) -> State:
        """All that is in force, as of one moment."""
        with self._database.read() as connection:
            state, self._parsed = read_state(connection, self._database.now(), self._parsed)
        return state

    def close(self) -> None:
        """Give all connections back."""
        self._database.close()

    # Tenants

    def tenants(self) -> Sequence[TenantState]:
        """All tenants, by name."""
        with self._database.read() as connection:
            return tenants.everyone(connection)

    def create_tenant(self, actor: str, name: str, quota: Quota) -> TenantState:
        """Add a tenant. Raises AlreadyExistsError."""
        with self._database.change(actor) as change:
            return tenants.create(change, name, quota)

    def set_quota(self, actor: str, name: str, quota: Quota) -> TenantState:
        """Replace a tenant's quota. Raises NotFoundError."""
        with self._database.change(actor) as change:
            return tenants.set_quota(change, name, quota)

    def delete_tenant(self, actor: str, name: str) -> None:
        """Remove a tenant with its cascades and revoke its keys; audit entries and usage stay. Raises NotFoundError."""
        with self._database.change(actor) as change:
            tenants.remove(change, name)

    # Cascades

    def put_version(self, actor: str, tenant: str, cascade: str, text: str) -> tuple[Version, bool]:
        """Keep `text` as the next version; what means the same as the latest is that one, and False.

        Raises ConfigError for what is no cascade, NotFoundError for the tenant.
        """
        config = versions.read(tenant, cascade, text)
        with self._database.change(actor) as change:
            return versions.put(change, tenant, cascade, text, config)

    def versions(self, tenant: str, cascade: str = "") -> Sequence[Version]:
        """A tenant's versions, or one cascade's, by cascade, newest first. Raises NotFoundError."""
        with self._database.read() as connection:
            return versions.listed(connection, tenant, cascade)

    def version(self, tenant: str, cascade: str, number: int = 0) -> Version:
        """One version, 0 for the newest. Raises NotFoundError."""
        with self._database.read() as connection:
            return versions.get(connection, tenant, cascade, number)

    def rollouts(self, tenant: str) -> Mapping[str, Rollout]:
        """What answers, by cascade. Raises NotFoundError for the tenant."""
        with self._database.read() as connection:
            require_tenant(connection, tenant)
            return rollouts.of_tenant(connection, tenant)

    def activate(self, actor: str, tenant: str, cascade: str, number: int) -> Rollout:
        """Have a version answer, and end a canary or shadow of it. Raises NotFoundError."""
        with self._database.change(actor) as change:
            return rollouts.activate(change, tenant, cascade, number)

    def roll_back(self, actor: str, tenant: str, cascade: str) -> Rollout:
        """Have the version before answer, and end any canary. Raises NotFoundError, ConflictError without one."""
        with self._database.change(actor) as change:
            return rollouts.roll_back(change, tenant, cascade)

    def set_canary(self, actor: str, tenant: str, cascade: str, number: int | None, percent: float) -> Rollout:
        """Have a version answer `percent` of the requests; None ends that. Raises NotFoundError, ConflictError."""
        with self._database.change(actor) as change:
            return rollouts.set_share(change, "canary", tenant, cascade, number, percent)

    def set_shadow(self, actor: str, tenant: str, cascade: str, number: int | None, percent: float) -> Rollout:
        """Have a version run on copies of `percent` of the requests; None ends that. Raises as `set_canary`."""
        with self._database.change(actor) as change:
            return rollouts.set_share(change, "shadow", tenant, cascade, number, percent)

    def deactivate(self, actor: str, tenant: str, cascade: str) -> None:
        """Stop serving a cascade; its versions stay. Raises NotFoundError, ConflictError when it is not served."""
        with self._database.change(actor) as change:
            rollouts.deactivate(change, tenant, cascade)

    # Keys

    def create_key(
        self,
        actor: str,
        tenant: str | None,
        role: Role,
        label: str = "",
        expires_at: datetime | None = None,
        certificate_name: str | None = None,
    ) -> tuple[Key, str]:
        """A key, of an operator for None, and its secret, empty with a certificate.

        Raises NotFoundError for the tenant, AlreadyExistsError for a certificate that stands for another key.
        """
        with self._database.change(actor) as change:
            return keys.create(change, tenant, role, label, expires_at, certificate_name or None)

    def keys(self, tenant: str | None) -> Sequence[Key]:
        """A tenant's keys, or all for None, those that have ended among them; by tenant, newest first."""
        with self._database.read() as connection:
            return keys.listed(connection, tenant)

    def revoke_key(self, actor: str, key_id: str, tenant: str | None) -> Key:
        """End a key, one of `tenant` unless that is None. Raises NotFoundError."""
        with self._database.change(actor) as change:
            return keys.revoke(change, key_id, tenant)

    # What happened

    def audit(self, tenant: str | None, limit: int = 100, before: int = 0) -> Sequence[AuditEntry]:
        """The newest entries of a tenant, or of all for None; with `before` only those numbered lower."""
        with self._database.read() as connection:
            return audit.listed(connection, tenant, limit, before)

    def add_usage(self, rows: Sequence[Usage]) -> None:
        """Add to what was used; that is no change of the state, and leaves no audit entry."""
        with self._database.write() as connection:
            usage.add(connection, rows)

    def usage(self, tenant: str | None, since: str = "", until: str = "") -> Sequence[Usage]:
        """What a tenant, or every one for None, used from day to day, both included; empty for no limit."""
        with self._database.read() as connection:
            return usage.listed(connection, tenant, since, until)
