"""What becomes of a store that cannot be named, reached or read."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from cascade.errors import ConfigError
from cascade_server.control.database import Database
from cascade_server.control.state import Quota, Usage
from cascade_server.control.store import Store
from cascade_server.errors import StoreError


@pytest.mark.parametrize(
    ("url", "found"),
    [
        ("", "no database URL"),
        ("control.db", "no database URL"),
        ("mysql://host/name", "'mysql'"),
        ("postgresql+asyncpg://host/name", "'postgresql\\+asyncpg'"),
        ("sqlite+aiosqlite:///control.db", "'sqlite\\+aiosqlite'"),
        ("sqlite://", "in memory"),
        ("sqlite:///:memory:", "in memory"),
        ("sqlite:///file:control.db?mode=ro&uri=true", "by its path"),
        ("postgresql://host:port/name", "no database URL"),
    ],
)
def test_a_url_that_cannot_be_used_names_the_setting(url: str, found: str) -> None:
    with pytest.raises(ConfigError, match=f"CASCADE_STORE_URL: .*{found}"):
        Store(url)


@pytest.mark.parametrize("url", ["postgresql://me:hush@", "postgresql://me:hush@[::", "mysql://me:hush@host/name"])
def test_a_password_is_not_shown(url: str) -> None:
    with pytest.raises((ConfigError, StoreError)) as caught:
        Store(url).migrate()
    assert "hush" not in str(caught.value)


@pytest.mark.parametrize("name", ["postgres", "postgresql", "postgresql+psycopg"])
def test_postgresql_is_spoken_to_by_one_driver(name: str) -> None:
    database = Database(f"{name}://host/name")
    assert database.engine.url.drivername == "postgresql+psycopg"


def test_without_the_driver_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(ConfigError, match=r"cascade-ranking\[postgresql\]"):
        Store("postgresql://host/name")


def test_an_unreachable_store_changes_nothing_and_is_used_again_when_it_is_back(store: Store, place: Any) -> None:
    store.create_tenant("ann", "shop", Quota())
    store.close()
    with place.outage():
        for attempt in (
            store.revision,
            store.state,
            lambda: store.create_tenant("ann", "late", Quota()),
            lambda: store.add_usage([Usage("shop", "a", "2026-01-01", requests=1)]),
        ):
            with pytest.raises(StoreError, match="nothing was changed"):
                attempt()
    assert [tenant.name for tenant in store.tenants()] == ["default", "shop"]
    assert store.create_tenant("ann", "late", Quota()).name == "late"


def test_a_folder_that_cannot_be_had_is_named(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").touch()
    with pytest.raises(StoreError, match=r"notes\.txt/control\.db cannot be opened"):
        Store(f"sqlite:///{tmp_path}/notes.txt/control.db").migrate()


def test_a_file_that_is_no_database_is_not_touched(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("these are notes, and no database " * 100)
    before = path.read_bytes()
    with pytest.raises(StoreError, match="not a database"):
        Store(f"sqlite:///{path}").migrate()
    assert path.read_bytes() == before


def test_a_store_that_was_never_migrated_is_a_store_error(place: Any) -> None:
    store = Store(place.url)
    with pytest.raises(StoreError):
        store.state()
    store.close()
