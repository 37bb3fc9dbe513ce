"""The database of the control plane: connections, transactions, and what it means when they fail."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url, select
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError

from cascade.errors import ConfigError
from cascade_server.control import schema
from cascade_server.control.change import Change
from cascade_server.errors import StoreError

SETTING = "CASCADE_STORE_URL"
WAIT_SECONDS = 5.0
"""How long to wait for a connection, or for another's change to end."""


class Database:
    """Changes happen one by one and whole or not at all; whoever reads sees the store as it was at one moment."""

    def __init__(
        self, url: str, clock: Callable[[], datetime] = lambda: datetime.now(UTC), wait: float = WAIT_SECONDS
    ) -> None:
        """Connects to nothing yet, and later waits `wait` seconds at most. Raises ConfigError for an unusable URL."""
        self._clock = clock
        self._wait_ms = int(wait * 1000)
        parsed = _checked(url)
        try:
            self.engine = _sqlite(parsed, wait) if parsed.get_backend_name() == "sqlite" else _postgresql(parsed, wait)
        except ModuleNotFoundError as error:
            problem = f"needs the package {error.name}; install cascade-ranking[postgresql]"
            raise ConfigError(SETTING, [problem]) from error
        snapshot: dict[str, Any] = {} if self.sqlite else {"isolation_level": "REPEATABLE READ"}
        self._snapshots = self.engine.execution_options(**snapshot)
        self._changes = self.engine.execution_options(immediate=True)

    @property
    def sqlite(self) -> bool:
        """Whether it is a file, and not a server."""
        return self.engine.dialect.name == "sqlite"

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """The store as it is now, until the end of the block. Raises StoreError."""
        with failures(), self._snapshots.begin() as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A transaction that is committed at the end of the block; on SQLite it shuts others out from its start."""
        with failures(), self._changes.begin() as connection:
            if not self.sqlite:
                # It neither waits long nor, when its process hangs, keeps others waiting for ever.
                connection.exec_driver_sql(
                    f"SET LOCAL lock_timeout = {self._wait_ms};"
                    f"SET LOCAL idle_in_transaction_session_timeout = {2 * self._wait_ms}"
                )
            yield connection

    @contextmanager
    def change(self, actor: str) -> Iterator[Change]:
        """The one change that happens now; an error in the block undoes all of it. Raises StoreError."""
        with self.write() as connection:
            # Held until the end, so that revisions become visible in their order and numbers are given once.
            last = connection.execute(select(schema.revision.c.number).with_for_update()).scalar_one()
            yield Change(connection, last, actor, self.now())

    def now(self) -> datetime:
        """The time, UTC."""
        return self._clock()

    def close(self) -> None:
        """Give all connections back."""
        self.engine.dispose()


@contextmanager
def failures() -> Iterator[None]:
    """Says StoreError for whatever the database or the way to it cannot do."""
    try:
        yield
    except DBAPIError as error:
        raise StoreError(str(error.orig).strip().partition("\n")[0]) from error
    except SQLAlchemyError as error:
        raise StoreError(str(error).partition("\n")[0]) from error


def _checked(url: str) -> URL:
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError) as error:  # the latter for a port that is no number
        # The URL may hold a password, so it is not shown.
        raise ConfigError(SETTING, ["is no database URL; expected one like postgresql://user@host/name"]) from error
    if parsed.drivername in ("postgresql", "postgres"):
        parsed = parsed.set(drivername="postgresql+psycopg")
    if parsed.drivername not in ("sqlite", "sqlite+pysqlite", "postgresql+psycopg"):
        raise ConfigError(SETTING, [f"found {parsed.drivername!r}, expected sqlite or postgresql"])
    if parsed.get_backend_name() == "sqlite" and parsed.database in (None, "", ":memory:"):
        problem = "names a database in memory, which no other process could share; name a file: sqlite:////path/file.db"
        raise ConfigError(SETTING, [problem])
    if parsed.get_backend_name() == "sqlite" and "uri" in parsed.query:
        raise ConfigError(SETTING, ["names its file by a URI; name it by its path: sqlite:////path/file.db"])
    return parsed


def _sqlite(url: URL, wait: float) -> Engine:
    engine = create_engine(url, connect_args={"timeout": wait})

    @event.listens_for(engine, "connect")
    def connected(connection: Any, _record: object) -> None:
        connection.isolation_level = None  # the driver would begin transactions by itself, and late
        connection.execute("PRAGMA foreign_keys = ON")

    @event.listens_for(engine, "begin")
    def begun(connection: Connection) -> None:
        # A transaction that reads before it writes cannot wait for another's: it would have to forget what it read.
        immediate = connection.get_execution_options().get("immediate", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")

    return engine


def _postgresql(url: URL, wait: float) -> Engine:
    patience = {"connect_timeout": max(2, round(wait)), "tcp_user_timeout": int(2000 * wait)}
    return create_engine(
        url,
        isolation_level="READ COMMITTED",
        pool_pre_ping=True,
        pool_timeout=wait,
        connect_args={name: value for name, value in patience.items() if name not in url.query},
    )


def make_file(url: URL) -> None:
    """Make the file of a SQLite database and its folder, readable by its owner alone, unless it is there."""
    path = Path(url.database or "")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    except OSError as error:
        raise StoreError(f"{path} cannot be opened: {error.strerror}") from error
