"""Brings a store's tables from one release to the next, and back."""

from __future__ import annotations

import sqlite3
import threading
import time
from contextlib import closing
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy import Connection, text

from cascade.errors import ConfigError
from cascade_server.control.database import SETTING, Database, failures, make_file
from cascade_server.errors import StoreError

_LOCK_NUMBER = 0x636173636164  # any number that other users of the same PostgreSQL server are unlikely to lock
_TRIES, _PAUSE_SECONDS = 50, 0.1

# Alembic keeps the migration that it runs in module globals.
_one_at_a_time = threading.Lock()


def upgrade(database: Database, to: str = "head") -> None:
    """Bring the tables up to `to`. Raises StoreError, and ConfigError for a store of a newer release."""
    if database.sqlite:
        make_file(database.engine.url)
        _use_write_ahead_log(database)
    with _one_at_a_time, database.write() as connection:
        _lock(connection)
        try:
            command.upgrade(_config(connection), to)
        except CommandError as error:
            problem = f"the store was made by another release: {error}; start that one, or name another store"
            raise ConfigError(SETTING, [problem]) from error


def downgrade(database: Database, to: str) -> None:
    """Bring the tables down to `to`, `base` for none at all; what only the later ones hold is lost."""
    with _one_at_a_time, database.write() as connection:
        _lock(connection)
        command.downgrade(_config(connection), to)


def _lock(connection: Connection) -> None:
    # SQLite's transaction shuts out others already.
    if connection.dialect.name != "sqlite":
        connection.execute(text("SET LOCAL lock_timeout = 0"))
        connection.execute(text("SELECT pg_advisory_xact_lock(:number)"), {"number": _LOCK_NUMBER})


def _config(connection: Connection) -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config


def _use_write_ahead_log(database: Database) -> None:
    """Let readers go on while one writes; SQLite does not wait for others who open the file at this moment."""
    for attempt in range(1, _TRIES + 1):
        with failures(), closing(database.engine.raw_connection()) as connection:
            try:
                connection.cursor().execute("PRAGMA journal_mode = WAL")
                return
            except sqlite3.Error as error:
                busy = isinstance(error, sqlite3.OperationalError)
                if not busy or attempt == _TRIES:
                    raise StoreError(str(error)) from error
        time.sleep(_PAUSE_SECONDS)
