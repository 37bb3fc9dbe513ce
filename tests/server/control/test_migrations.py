"""From an empty database to the tables of this release, and back."""

from __future__ import annotations

import stat
from pathlib import Path
from threading import Barrier, Thread
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import inspect, make_url, text

from cascade.errors import ConfigError
from cascade_server.control import migrations, schema
from cascade_server.control.database import Database
from cascade_server.control.state import Quota
from cascade_server.control.store import Store


@pytest.fixture
def database(place: Any) -> Any:
    """An empty one."""
    database = Database(place.url)
    yield database
    database.close()


def tables(database: Database) -> set[str]:
    """The names of all tables."""
    return set(inspect(database.engine).get_table_names())


def test_the_way_up_makes_the_tables_and_the_way_down_drops_them(database: Database) -> None:
    migrations.upgrade(database)
    assert tables(database) == {*schema.metadata.tables, "cascade_schema"}
    migrations.downgrade(database, "base")
    assert tables(database) == {"cascade_schema"}
    migrations.upgrade(database)
    assert tables(database) == {*schema.metadata.tables, "cascade_schema"}


def test_the_migrations_lead_to_the_tables_that_the_code_uses(database: Database) -> None:
    migrations.upgrade(database)
    with database.read() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "version_table": "cascade_schema"})
        assert compare_metadata(context, schema.metadata) == []


def test_every_rollout_refers_to_versions_that_are_there(database: Database) -> None:
    migrations.upgrade(database)
    found = inspect(database.engine).get_foreign_keys("rollouts")
    assert {key["constrained_columns"][-1] for key in found} == {"active", "previous", "canary", "shadow"}
    assert {(key["referred_table"], key["options"]["ondelete"]) for key in found} == {("versions", "CASCADE")}


def test_migrating_again_keeps_what_is_there(store: Store) -> None:
    store.create_tenant("ann", "shop", Quota())
    store.migrate()
    assert ([tenant.name for tenant in store.tenants()], store.revision()) == (["default", "shop"], 2)


def test_servers_that_start_at_once_migrate_once(place: Any) -> None:
    stores = [Store(place.url) for _ in range(6)]
    together = Barrier(len(stores))
    problems: list[Exception] = []

    def start(store: Store) -> None:
        together.wait()
        try:
            store.migrate()
            assert store.revision() == 1
        except Exception as error:  # an assertion of another thread would be lost
            problems.append(error)

    threads = [Thread(target=start, args=(store,)) for store in stores]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert problems == []
    assert len(stores[0].audit(None)) == 1
    for store in stores:
        store.close()


def test_a_store_of_a_newer_release_is_left_alone(store: Store, database: Database) -> None:
    with database.write() as connection:
        connection.execute(text("UPDATE cascade_schema SET version_num = '9999'"))
    with pytest.raises(ConfigError, match=r"CASCADE_STORE_URL: the store was made by another release.*9999"):
        store.migrate()
    assert store.revision() == 1


def test_a_file_is_readable_by_its_owner_alone_and_written_ahead(tmp_path: Path) -> None:
    path = tmp_path / "control.db"
    store = Store(f"sqlite:///{path}")
    store.migrate()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(Path(f"{path}-wal").stat().st_mode) == 0o600
    store.close()


def test_a_path_may_hold_any_sign(tmp_path: Path) -> None:
    folder = tmp_path / "50% of ünits?"
    folder.mkdir()
    store = Store(make_url("sqlite://").set(database=str(folder / "control.db")).render_as_string())
    store.migrate()
    assert (store.revision(), (folder / "control.db").exists()) == (1, True)
    store.close()
