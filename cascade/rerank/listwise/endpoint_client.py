"""Calls to an OpenAI-compatible server: bounded in number and time, retried where that helps, the key never shown."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine, Iterable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

import structlog

from cascade.budget import Budget
from cascade.errors import ModelLoadError, OverloadedError, StageError, UnsuitableError

if TYPE_CHECKING:
    from httpx2 import AsyncClient, Response

T = TypeVar("T")

log = structlog.get_logger()

MOST_WAITING = 256
_SHOWN = 200
_BUSY = (429, 503)
_REFUSED = {401: "check api_key_file", 403: "check api_key_file", 404: "check url, which ends in /v1, and model"}
_NOT_DONE = (400, 405, 422, 501)
_FIRST_PAUSE = 0.25


async def at_once(calls: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """What each call returns, in order. When one raises or this is cancelled, those that are left are ended."""
    asking = [asyncio.ensure_future(call) for call in calls]
    try:
        return await asyncio.gather(*asking)
    finally:
        for call in asking:
            call.cancel()


class _PassingError(Exception):
    """What may be better at the next attempt: `error` is what to raise if it is not, `pause` the seconds to wait."""

    def __init__(self, error: StageError | OverloadedError, pause: float | None = None) -> None:
        super().__init__(str(error))
        self.error = error
        self.pause = pause


class EndpointClient:
    """At most `concurrency` calls are in flight, from however many requests; each takes at most `timeout` seconds.

    Proxies and certificates that the environment names are not used, and redirects are not followed.
    """

    def __init__(self, url: str, reference: str, *, timeout: float, retries: int, concurrency: int) -> None:
        self._url = url.rstrip("/")
        self._reference = reference
        self._timeout = timeout
        self._retries = retries
        self._places = asyncio.Semaphore(concurrency)
        self._waiting = 0
        self._client: AsyncClient | None = None
        self._key = ""

    def read_key(self, path: str | None) -> None:
        """Send the key in the file `path` from now on. Raises ModelLoadError, which does not show what is in it."""
        if urlsplit(self._url).username is not None:
            raise ModelLoadError(self._reference, "found a user name in its url; put the key into api_key_file")
        if path is None:
            return
        try:
            key = Path(path).expanduser().read_text(encoding="ascii").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise ModelLoadError(self._reference, f"its api_key_file cannot be read: {error}") from error
        if not key or len(key.split()) > 1 or not key.isprintable():
            raise ModelLoadError(
                self._reference, f"found no key in its api_key_file {path}, expected one line with the key and no more"
            )
        self._key = key

    async def post(self, path: str, body: Mapping[str, Any], *, budget: Budget) -> tuple[dict[str, Any], float]:
        """The JSON object of the answer, and the seconds waited for a free place.

        Failed connections and the answers 429 and 503 are tried again, if the pause before that fits into the budget.
        Raises TimeoutError when time ran out, OverloadedError when there is no room, ModelLoadError for a key, model or
        path that the endpoint does not know, StageError for any other failure. A call whose task is cancelled ends.
        """
        before = budget.clock()
        async with self._place(budget):
            waited = budget.clock() - before
            client = await self._opened()
            for attempt in range(self._retries + 1):
                try:
                    async with asyncio.timeout(budget.at_most(self._timeout).timeout):
                        return await self._attempt(client, path, body), waited
                except _PassingError as passing:
                    pause = _FIRST_PAUSE * 2**attempt if passing.pause is None else passing.pause
                    if attempt == self._retries or pause >= budget.remaining:
                        raise passing.error from passing
                    log.info("endpoint_retry", endpoint=self._reference, problem=str(passing), pause_seconds=pause)
                    await asyncio.sleep(pause)
        raise AssertionError("the last attempt returns or raises")

    async def aclose(self) -> None:
        """Close the connections; a later call opens new ones."""
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

    @asynccontextmanager
    async def _place(self, budget: Budget) -> AsyncIterator[None]:
        if self._waiting >= MOST_WAITING:
            raise OverloadedError(f"endpoint {self._reference!r}", retry_after=1.0)
        self._waiting += 1
        try:
            async with asyncio.timeout(budget.timeout):
                await self._places.acquire()
        finally:
            self._waiting -= 1
        try:
            yield
        finally:
            self._places.release()

    async def _opened(self) -> AsyncClient:
        """The one client; it reads certificates when it is made, which would hold up the event loop."""
        import httpx2

        if self._client is None:
            made = await asyncio.to_thread(httpx2.AsyncClient, timeout=None, trust_env=False)
            if self._client is None:
                self._client = made
        return self._client

    async def _attempt(self, client: AsyncClient, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        import httpx2

        headers = {"authorization": f"Bearer {self._key}"} if self._key else {}
        try:
            response = await client.post(f"{self._url}/{path}", json=dict(body), headers=headers)
        except httpx2.HTTPError as error:
            told = f"{self._url} could not be reached ({type(error).__name__}: {error})"
            raise _PassingError(StageError(self._reference, told)) from error
        except httpx2.InvalidURL as error:
            raise ModelLoadError(self._reference, f"found the url {self._url}: {error}; correct it") from error
        return self._read(response)

    def _read(self, response: Response) -> dict[str, Any]:
        status = response.status_code
        told = f"{self._url} answered {status}: {self._shown(response.text) or 'nothing'}"
        if status in _BUSY:
            pause = _seconds(response.headers.get("retry-after"))
            wait = 1.0 if pause is None else pause
            raise _PassingError(OverloadedError(f"endpoint {self._reference!r} ({told})", wait), pause)
        if status in _REFUSED:
            raise ModelLoadError(self._reference, f"{told}; {_REFUSED[status]}")
        if status == 200:
            try:
                found = response.json()
            except ValueError:
                found = None
            if isinstance(found, dict):
                return found
            told += ", expected a JSON object"
        raise (UnsuitableError if status in _NOT_DONE else StageError)(self._reference, told)

    def _shown(self, body: str) -> str:
        """A short piece of an answer, fit for a message: some servers repeat the key that they refuse."""
        if self._key:
            body = body.replace(self._key, "(the key)")
        line = " ".join(body.split())
        return line if len(line) <= _SHOWN else f"{line[:_SHOWN]}..."


def _seconds(header: str | None) -> float | None:
    """Of Retry-After, where it is a number; its other form, a date, is not worth a clock of their own."""
    try:
        return None if header is None else max(0.0, float(header))
    except ValueError:
        return None
