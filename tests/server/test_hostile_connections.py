"""Peers that hold connections, flood them or talk nonsense are cut off, and everybody else is answered."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import grpc
import pytest

from cascade_api.v1 import index_pb2

pytestmark = pytest.mark.asyncio(loop_scope="session")

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
SETTINGS = b"\x00\x00\x00\x04\x00\x00\x00\x00\x00"
PING = b"\x00\x00\x08\x06\x00\x00\x00\x00\x00strangers"[:17]


class Peer:
    """A TCP connection that says whatever it likes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def of(cls, running: Any) -> Peer:
        return cls(*await asyncio.open_connection("127.0.0.1", running.server.port))

    def say(self, data: bytes) -> None:
        self._writer.write(data)

    async def heard_until_cut_off(self) -> bytes:
        """All that the server says before it closes the connection; never returns while it stays open."""
        heard = b""
        try:
            while data := await self._reader.read(65_536):
                heard += data
        except ConnectionResetError:
            pass
        self._writer.close()
        return heard


async def test_a_connection_above_the_bound_is_closed_at_once(serve: Any, configs: Any, tmp_path: Path) -> None:
    async with serve(tmp_path, {"plain": configs["plain"]}, max_connections=3) as running:
        assert (await running.rank()).results
        held = [await Peer.of(running) for _ in range(2)]
        refused = [await Peer.of(running) for _ in range(5)]
        assert [await peer.heard_until_cut_off() for peer in refused] == [b""] * 5
        assert (await running.rank()).results
        for peer in held:
            peer.say(b"enough\r\n")
            await peer.heard_until_cut_off()


async def test_a_connection_that_says_nothing_is_closed(serve: Any, configs: Any, tmp_path: Path) -> None:
    async with serve(tmp_path, {"plain": configs["plain"]}, handshake_timeout_seconds=0.1) as running:
        silent = [await Peer.of(running) for _ in range(20)]
        await asyncio.gather(*(peer.heard_until_cut_off() for peer in silent))
        assert (await running.rank()).results


@pytest.mark.parametrize(
    "nonsense", [b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", b"\x16\x03\x01\x02\x00\x01", b"\xff" * 4096]
)
async def test_what_is_not_http2_is_closed(plain: Any, nonsense: bytes) -> None:
    peer = await Peer.of(plain)
    peer.say(nonsense + b"\n" * 64)
    await peer.heard_until_cut_off()
    assert (await plain.rank()).results


async def test_a_flood_of_pings_ends_its_connection(plain: Any) -> None:
    peer = await Peer.of(plain)
    peer.say(PREFACE + SETTINGS + PING * 100)
    assert b"too_many_pings" in await peer.heard_until_cut_off()
    assert (await plain.rank()).results


async def test_a_connection_without_calls_is_closed_and_the_next_call_opens_another(
    serve: Any, configs: Any, tmp_path: Path
) -> None:
    async with serve(tmp_path, {"plain": configs["plain"]}, max_connection_idle_seconds=0.05) as running:
        assert (await running.rank()).results
        while (state := running.channel.get_state()) is not grpc.ChannelConnectivity.IDLE:
            await running.channel.wait_for_state_change(state)
        assert (await running.rank()).results


async def test_an_old_connection_is_replaced_without_a_request_lost(serve: Any, configs: Any, tmp_path: Path) -> None:
    async with serve(tmp_path, {"plain": configs["plain"]}, max_connection_age_seconds=0.05) as running:
        assert (await running.rank()).results
        replaced = asyncio.ensure_future(running.channel.wait_for_state_change(grpc.ChannelConnectivity.READY))
        while not replaced.done():
            assert (await running.rank()).results
        assert (await running.rank()).results


async def test_metadata_over_the_limit_is_refused(plain: Any, refused: Any) -> None:
    stub = plain.channel.unary_unary("/cascade_api.v1.RankingService/Rank")
    request = plain.request().SerializeToString()
    assert await stub(request, metadata=(("x-note", "a" * 8_000),))
    refusal = await refused(stub(request, metadata=(("x-note", "a" * 20_000),)))
    assert refusal.code is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert "metadata size" in refusal.message
    assert (await plain.rank()).results


async def test_too_many_calls_on_one_connection_wait_for_it_and_for_nobody_else(
    serve: Any, configs: Any, refused: Any, tmp_path: Path
) -> None:
    settings = {"max_concurrent_streams": 2, "max_concurrent_upserts": 8}
    async with serve(tmp_path, {"plain": configs["plain"]}, **settings) as running:
        held = [running.indexes.UpsertDocuments(metadata=running.metadata) for _ in range(2)]
        for upsert in held:
            await upsert.write(index_pb2.UpsertDocumentsRequest(index="absent"))
        await running.in_progress(2)
        assert (await refused(running.rank(timeout=0.2))).code is grpc.StatusCode.DEADLINE_EXCEEDED
        async with grpc.aio.insecure_channel(
            f"127.0.0.1:{running.server.port}", [("grpc.use_local_subchannel_pool", 1)]
        ) as another:
            rank = another.unary_unary("/cascade_api.v1.RankingService/Rank")
            assert await rank(running.request().SerializeToString())
        held[0].cancel()
        assert (await running.rank()).results


async def test_many_made_up_tenants_make_no_series(plain: Any, refused: Any) -> None:
    stub = plain.channel.unary_unary("/cascade_api.v1.RankingService/Rank")
    request = plain.request().SerializeToString()
    calls = (refused(stub(request, metadata=(("x-cascade-tenant", f"made-up-{n}"),))) for n in range(500))
    assert {refusal.code for refusal in await asyncio.gather(*calls)} == {grpc.StatusCode.NOT_FOUND}
    metrics = await plain.metrics()
    assert {value for _, labels in metrics for name, value in labels if name == "tenant"} == {"default", "other"}
