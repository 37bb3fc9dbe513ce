"""Keeps a key set up to date, from a file that may change or from an https address."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import structlog

from cascade.errors import ConfigError
from cascade_server.access.jwks import MOST_BYTES, JwksError, KeySet, PublicKey, parse_jwks

SETTING = "jwt_jwks"
_FETCH_SECONDS = 5.0

log = structlog.get_logger()


class KeySource(Protocol):
    """Public keys that may be replaced at any time by those who sign with their other halves."""

    async def start(self) -> None:
        """Read them for the first time. Raises ConfigError for what can never become right by itself."""
        ...

    async def key(self, kid: str, algorithm: str) -> PublicKey | None:
        """The key of that id for that algorithm, None when there is none."""
        ...

    async def aclose(self) -> None:
        """Stop reading."""
        ...


class KeyFile:
    """The keys in a file as it is now; while it cannot be read or holds none, those that it held before."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._keys: KeySet = {}
        self._seen: tuple[int, ...] = ()

    async def start(self) -> None:
        """Read the file. Raises ConfigError when there are no keys in it."""
        try:
            self._seen = self._signature()
            self._keys = parse_jwks(self._path.read_bytes())
        except (OSError, JwksError) as error:
            raise ConfigError(SETTING, [f"{self._path}: {error}"]) from error

    async def key(self, kid: str, algorithm: str) -> PublicKey | None:
        """See KeySource. Looks at the file's time each time, which takes microseconds."""
        try:
            signature = self._signature()
            if signature != self._seen:
                self._seen = signature
                self._keys = parse_jwks(self._path.read_bytes())
                log.info("jwks_read", source=str(self._path), keys=len(self._keys))
        except (OSError, JwksError) as error:
            log.error("jwks_kept", source=str(self._path), problem=str(error))
        return self._keys.get((kid, algorithm))

    async def aclose(self) -> None:
        """Nothing is held."""

    def _signature(self) -> tuple[int, ...]:
        status = self._path.stat()
        return status.st_mtime_ns, status.st_size, status.st_ino


class KeyAddress:
    """The keys at an address, fetched in a thread; whoever needs no new key never waits for that.

    An unknown kid has them fetched again, at most every `least_seconds`, so that made-up ones cause no storm. They are
    fetched again every `refresh_seconds` too, so that keys which are withdrawn do not stay. A failed fetch changes
    nothing.
    """

    def __init__(
        self,
        url: str,
        *,
        fetch: Callable[[str], bytes] | None = None,
        clock: Callable[[], float] = time.monotonic,
        refresh_seconds: float = 300.0,
        least_seconds: float = 10.0,
    ) -> None:
        self._url = url
        self._fetch = fetch or fetch_https
        self._clock = clock
        self._refresh_seconds = refresh_seconds
        self._least_seconds = least_seconds
        self._keys: KeySet = {}
        self._tried: float | None = None
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to fetch; the server need not wait, and callers are refused until there are keys."""
        self._begin()

    async def key(self, kid: str, algorithm: str) -> PublicKey | None:
        """See KeySource."""
        found = self._keys.get((kid, algorithm))
        if found is not None:
            if self._tried is None or self._clock() - self._tried >= self._refresh_seconds:
                self._begin()
            return found
        fetching = self._begin()
        if fetching is not None:
            await asyncio.shield(fetching)
        return self._keys.get((kid, algorithm))

    async def aclose(self) -> None:
        """Wait for no more fetches."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})

    def _begin(self) -> asyncio.Task[None] | None:
        """The fetch in progress, or a new one unless the last began too short a time ago."""
        if self._task is not None and not self._task.done():
            return self._task
        if self._tried is not None and self._clock() - self._tried < self._least_seconds:
            return None
        self._tried = self._clock()
        self._task = asyncio.create_task(self._refresh())
        return self._task

    async def _refresh(self) -> None:
        try:
            self._keys = parse_jwks(await asyncio.to_thread(self._fetch, self._url))
        except (OSError, JwksError) as error:
            log.error("jwks_kept", source=self._url, problem=str(error), keys=len(self._keys))
            return
        log.info("jwks_read", source=self._url, keys=len(self._keys))


def fetch_https(url: str) -> bytes:
    """What `url` answers, without following it anywhere else. Raises OSError, also for what is too long or too slow."""
    import httpx2

    end = time.monotonic() + _FETCH_SECONDS
    data = bytearray()
    try:
        with httpx2.stream("GET", url, timeout=_FETCH_SECONDS, follow_redirects=False) as response:
            if response.status_code != 200:
                raise OSError(f"answered {response.status_code}, expected 200")
            for part in response.iter_bytes():
                data += part
                if len(data) > MOST_BYTES or time.monotonic() > end:
                    raise OSError(f"sent more than {MOST_BYTES} bytes or took more than {_FETCH_SECONDS:g} s")
    except httpx2.HTTPError as error:
        raise OSError(f"{type(error).__name__}: {error}") from error
    return bytes(data)


def key_source(place: str) -> KeySource:
    """The keys at `place`, an https URL or a file."""
    return KeyAddress(place) if place.startswith("https://") else KeyFile(Path(place))
