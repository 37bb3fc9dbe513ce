"""Stores on every kind of database that can be had here: SQLite always, PostgreSQL where one can be started."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy import URL, create_engine, make_url, text

from cascade_server.control.store import Store

_GIVEN = os.environ.get("CASCADE_TEST_POSTGRESQL_URL")


@dataclass(frozen=True)
class Place:
    """An empty database, and a way to make it unreachable for the length of a block."""

    kind: str
    url: str
    outage: Callable[[], AbstractContextManager[None]]


class Clock:
    """A time that tests may move."""

    def __init__(self) -> None:
        self.now = datetime(2026, 1, 31, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def advance(self, seconds: float) -> None:
        """Move on."""
        self.now += timedelta(seconds=seconds)


def _programs() -> Path | None:
    """The folder of PostgreSQL's programs, which Debian keeps off the path."""
    found = shutil.which("postgres")
    if found is not None and (Path(found).resolve().parent / "pg_ctl").exists():
        return Path(found).resolve().parent
    return next((path.parent for path in sorted(Path("/usr/lib/postgresql").glob("*/bin/pg_ctl"), reverse=True)), None)


def _user() -> str | None:
    """As whom PostgreSQL may run here: it refuses root."""
    names = {entry.pw_name for entry in pwd.getpwall()}
    if os.getuid() != 0:
        return pwd.getpwuid(os.getuid()).pw_name
    return next((name for name in ("postgres", "nobody") if name in names), None)


KINDS = ["sqlite", "postgresql"] if _GIVEN or (_programs() and _user()) else ["sqlite"]


@pytest.fixture(scope="session")
def postgresql() -> Iterator[URL]:
    """The PostgreSQL that is given, or one of our own, reached through a socket in its folder and gone afterwards."""
    if _GIVEN:
        yield make_url(_GIVEN)
        return
    programs, user = _programs(), _user()
    assert programs is not None
    assert user is not None
    folder = Path(tempfile.mkdtemp(prefix="cascade-pg-"))  # pytest's own folders are closed to the other user
    group = pwd.getpwnam(user).pw_gid
    os.chown(folder, pwd.getpwnam(user).pw_uid, group)
    extra = [] if os.getuid() == 0 else None

    def run(program: str, *arguments: str) -> None:
        command = [str(programs / program), "-D", str(folder / "data"), *arguments]
        subprocess.run(
            command, check=True, cwd=folder, user=user, group=group, extra_groups=extra, stdout=subprocess.DEVNULL
        )

    try:
        run("initdb", "--auth=trust", "--username=cascade", "--encoding=UTF8", "--no-locale", "--no-sync")
        options = f"-k {folder} -c listen_addresses= -c fsync=off -c max_connections=200"
        run("pg_ctl", "--wait", "--silent", f"--log={folder / 'log'}", f"--options={options}", "start")
        try:
            yield make_url(f"postgresql+psycopg://cascade@/postgres?host={folder}")
        finally:
            run("pg_ctl", "--wait", "--silent", "--mode=immediate", "stop")
    finally:
        shutil.rmtree(folder)


@pytest.fixture(scope="session")
def shared_database(postgresql: URL) -> Iterator[tuple[URL, str]]:
    """A database for all tests, and the server that it is on; a schema is made faster than a database."""
    name = f"cascade_test_{uuid4().hex}"
    _tell(postgresql, f"CREATE DATABASE {name}")
    yield postgresql, name
    _tell(postgresql, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(params=KINDS)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    """An empty database of each kind."""
    if request.param == "sqlite":
        folder = tmp_path / "store"
        folder.mkdir()
        yield Place("sqlite", f"sqlite:///{folder / 'control.db'}", partial(_moved_away, folder))
        return
    server, name = request.getfixturevalue("shared_database")
    schema = f"test_{uuid4().hex}"
    _tell(server.set(database=name), f"CREATE SCHEMA {schema}")
    url = server.set(drivername="postgresql", database=name).update_query_dict({"options": f"-csearch_path={schema}"})
    yield Place("postgresql", url.render_as_string(hide_password=False), partial(_shut_out, server, name))


@pytest.fixture
def clock() -> Clock:
    """What stores take for the time."""
    return Clock()


@pytest.fixture
def open_store(place: Place, clock: Clock) -> Iterator[Callable[[], Store]]:
    """Opens the same database anew each time, as another process would."""
    opened: list[Store] = []

    def open_one() -> Store:
        opened.append(Store(place.url, clock=clock))
        opened[-1].migrate()
        return opened[-1]

    yield open_one
    for store in opened:
        store.close()


@pytest.fixture
def store(open_store: Callable[[], Store]) -> Store:
    """A new store."""
    return open_store()


@contextmanager
def _moved_away(folder: Path) -> Iterator[None]:
    """Without its folder SQLite opens nothing; what is open already must have been closed."""
    away = folder.rename(folder.with_name("away"))
    yield
    away.rename(folder)


@contextmanager
def _shut_out(server: URL, name: str) -> Iterator[None]:
    """All connections end, and no new ones are let in."""
    _tell(server, f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
    _tell(server, f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'")
    yield
    _tell(server, f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")


def _tell(server: URL, statement: str) -> None:
    engine = create_engine(server.set(drivername="postgresql+psycopg"), isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(statement))
    engine.dispose()
