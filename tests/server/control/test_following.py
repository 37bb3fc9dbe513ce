"""Servers do what their store says, from their start on and while they run."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import grpc
import pytest

from cascade.errors import ConfigError
from cascade_server.app import Server
from cascade_server.control.state import Role
from cascade_server.control.store import Store
from cascade_server.settings import Settings


def shop(depth: int) -> str:
    """A cascade that needs no model."""
    return f"retrieve: [{{kind: bm25}}]\ntiers: [{{kind: identity, name: keep, depth: {depth}}}]"


async def in_time(true: Callable[[], Awaitable[bool]]) -> None:
    """Return when it has become true; a server that does not follow lets the test run into its limit."""
    async with asyncio.timeout(30):
        while not await true():  # noqa: ASYNC110  # over gRPC, as a caller would
            await asyncio.sleep(0.01)


async def version(running: Any, *, key: str = "") -> int | grpc.StatusCode:
    """Which version of `shop` answers, or why none does."""
    metadata = (("authorization", f"Bearer {key}"),) if key else ()
    try:
        answer = await running._ranking.Rank(running.request(cascade="shop"), metadata=metadata)
    except grpc.aio.AioRpcError as error:
        return error.code()
    return int(answer.provenance.cascade_version)


async def test_a_change_reaches_every_server_that_shares_the_store(
    serve: Any, place: Any, open_store: Callable[[], Store], tmp_path: Path
) -> None:
    store = open_store()
    shared = {"cascades": {}, "store_url": place.url, "store_poll_ms": 10}
    async with serve(tmp_path / "one", **shared) as one, serve(tmp_path / "two", **shared) as other:

        def both(expected: object, key: str = "") -> Callable[[], Awaitable[bool]]:
            async def so() -> bool:
                return [await version(running, key=key) for running in (one, other)] == [expected] * 2

            return so

        assert await both(grpc.StatusCode.NOT_FOUND)()
        for depth in (3, 2):
            store.put_version("ann", "default", "shop", shop(depth))
        store.activate("ann", "default", "shop", 1)
        await in_time(both(1))
        store.activate("ann", "default", "shop", 2)
        await in_time(both(2))
        store.roll_back("ann", "default", "shop")
        await in_time(both(1))
        key, secret = store.create_key("ann", "default", Role.READER)
        await in_time(both(grpc.StatusCode.UNAUTHENTICATED))
        await in_time(both(1, secret))
        store.revoke_key("ann", key.key_id, None)
        await in_time(both(grpc.StatusCode.UNAUTHENTICATED, secret))


async def test_a_server_starts_with_what_was_in_force_last(
    serve: Any, place: Any, open_store: Callable[[], Store], tmp_path: Path
) -> None:
    store = open_store()
    for depth in (3, 2, 1):
        store.put_version("ann", "default", "shop", shop(depth))
    store.activate("ann", "default", "shop", 1)
    store.activate("ann", "default", "shop", 2)
    async with serve(tmp_path, {}, store_url=place.url) as running:
        assert await version(running) == 2


async def test_while_the_store_cannot_be_reached_a_server_goes_on_as_it_was(
    serve: Any, place: Any, open_store: Callable[[], Store], tmp_path: Path
) -> None:
    store = open_store()
    for depth in (3, 2):
        store.put_version("ann", "default", "shop", shop(depth))
    store.activate("ann", "default", "shop", 1)
    store.close()
    async with serve(tmp_path, {}, store_url=place.url, store_poll_ms=10) as running:
        with place.outage():
            assert [await version(running) for _ in range(5)] == [1] * 5
        store.activate("ann", "default", "shop", 2)

        async def changed() -> bool:
            return await version(running) == 2

        await in_time(changed)


@pytest.mark.parametrize("url", ["mysql://me:hush@host/name", "sqlite://", "nothing"])
def test_a_server_is_not_made_with_a_store_that_cannot_be_named(tmp_path: Path, url: str) -> None:
    with pytest.raises(ConfigError, match="CASCADE_STORE_URL") as caught:
        Server(Settings(data_dir=tmp_path, store_url=url))
    assert "hush" not in str(caught.value)


async def test_a_server_does_not_start_without_its_store(tmp_path: Path) -> None:
    (tmp_path / "control.db").write_text("these are notes, and no database " * 100)
    server = Server(Settings(data_dir=tmp_path, port=0, metrics_port=None), cascades=lambda: {"default": {}})
    with pytest.raises(ConfigError, match=r"CASCADE_STORE_URL: .*not a database"):
        await server.start()
    await server.stop()
