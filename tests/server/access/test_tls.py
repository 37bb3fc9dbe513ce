"""TLS with certificates that are renewed while the server runs, and client certificates."""

from __future__ import annotations

import logging
import os
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, PrivateFormat
from structlog.testing import capture_logs

from cascade.errors import ConfigError
from cascade_server.access.tls import ServerCertificate, listen
from cascade_server.settings import Settings

Ask = Callable[..., Any]


@pytest.fixture
def listening() -> Callable[..., AbstractAsyncContextManager[Ask]]:
    """Serves with TLS for the length of a block; the block asks over a new connection each time."""

    @asynccontextmanager
    async def serving(**settings: Any) -> AsyncIterator[Ask]:
        async def names(_request: bytes, context: Any) -> bytes:
            found = context.auth_context()
            return b",".join((*found.get("x509_subject_alternative_name", ()), *found.get("x509_common_name", ())))

        server = grpc.aio.server()
        handlers = {"Names": grpc.unary_unary_rpc_method_handler(names)}
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("test.Tls", handlers),))
        port = listen(server, "127.0.0.1:0", Settings(**settings))
        await server.start()

        async def ask(root: bytes, client: Any = None) -> str:
            shown = {} if client is None else {"private_key": client.key, "certificate_chain": client.certificate}
            credentials = grpc.ssl_channel_credentials(root, **shown)
            options = [("grpc.use_local_subchannel_pool", 1), ("grpc.enable_retries", 0)]
            async with grpc.aio.secure_channel(f"127.0.0.1:{port}", credentials, options) as channel:
                return str((await channel.unary_unary("/test.Tls/Names")(b"")).decode())

        try:
            yield ask
        finally:
            await server.stop(0)

    return serving


async def refused(call: Any) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE


def renew(folder: Path, issued: Any) -> None:
    """As those who renew certificates do: each file whole, one after the other."""
    for name, data in (("tls.crt", issued.certificate), ("tls.key", issued.key)):
        (folder / "new").write_bytes(data)
        os.replace(folder / "new", folder / name)


async def test_a_server_with_a_certificate_speaks_tls_only(
    listening: Any, authority: Any, stranger: Any, tmp_path: Path
) -> None:
    async with listening(**authority.server().write(tmp_path)) as ask:
        assert await ask(authority.root) == ""
        await refused(ask(stranger.root))


async def test_a_renewed_certificate_is_served_without_restart(
    listening: Any, authority: Any, stranger: Any, tmp_path: Path
) -> None:
    async with listening(**authority.server().write(tmp_path)) as ask:
        assert await ask(authority.root) == ""
        renew(tmp_path, stranger.server())
        assert await ask(stranger.root) == ""
        await refused(ask(authority.root))


async def test_a_half_renewed_certificate_is_not_served_until_its_key_is_there(
    listening: Any, authority: Any, stranger: Any, tmp_path: Path
) -> None:
    async with listening(**authority.server().write(tmp_path)) as ask:
        fresh = stranger.server()
        (tmp_path / "tls.crt").write_bytes(fresh.certificate)
        with capture_logs() as logs:
            assert await ask(authority.root) == ""
            assert await ask(authority.root) == ""
        kept = [line for line in logs if line["event"] == "certificate_kept"]
        assert len(kept) == 1
        assert "is not the key of tls_certificate" in kept[0]["problems"][0]
        (tmp_path / "tls.key").write_bytes(fresh.key)
        assert await ask(stranger.root) == ""


@pytest.mark.parametrize("damage", ["gone", "empty", "expired"])
async def test_a_certificate_that_goes_wrong_on_disk_does_not_stop_the_server(
    listening: Any, authority: Any, tmp_path: Path, damage: str
) -> None:
    async with listening(**authority.server().write(tmp_path)) as ask:
        if damage == "gone":
            (tmp_path / "tls.crt").unlink()
        elif damage == "empty":
            (tmp_path / "tls.key").write_bytes(b"")
        else:
            ended = datetime.now(UTC) - timedelta(hours=1)
            renew(tmp_path, authority.issue("localhost", "127.0.0.1", ends=ended))
        assert await ask(authority.root) == ""


async def test_with_a_client_ca_every_connection_shows_one_of_its_certificates(
    listening: Any, authority: Any, stranger: Any, tmp_path: Path
) -> None:
    root = tmp_path / "ca.pem"
    root.write_bytes(stranger.root)
    async with listening(**authority.server().write(tmp_path), tls_client_ca=root) as ask:
        client = stranger.issue("acme", "spiffe://example/acme", "acme.example")
        assert await ask(authority.root, client) == "spiffe://example/acme,acme.example,acme"
        await refused(ask(authority.root))
        await refused(ask(authority.root, authority.issue("acme", "acme.example")))
        past = stranger.issue("acme", "acme.example", ends=datetime.now(UTC) - timedelta(hours=1))
        await refused(ask(authority.root, past))
        root.write_bytes(authority.root)
        assert await ask(authority.root, authority.issue("other")) == "other"
        await refused(ask(authority.root, client))


def test_what_cannot_be_served_is_said_at_the_start_by_its_setting(
    authority: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    good, other = authority.server(), authority.server()
    locked = ec.generate_private_key(ec.SECP256R1())
    password = BestAvailableEncryption(b"secret")
    encrypted = locked.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, password)
    ended = authority.issue("localhost", ends=datetime.now(UTC) - timedelta(hours=1))
    certificate, key, root = tmp_path / "tls.crt", tmp_path / "tls.key", tmp_path / "ca.pem"
    cases = [
        (b"", good.key, authority.root, "tls_certificate .* has no certificate in PEM"),
        (good.key, good.key, authority.root, "tls_certificate .* has no certificate in PEM"),
        (good.certificate, b"", authority.root, "tls_key .* has no private key in PEM"),
        (good.certificate, good.certificate, authority.root, "tls_key .* has no private key in PEM"),
        (good.certificate, good.key[:-60], authority.root, "tls_key .* has no private key in PEM"),
        (good.certificate, encrypted, authority.root, "tls_key .* is encrypted"),
        (good.certificate, other.key, authority.root, "tls_key .* is not the key of tls_certificate"),
        (ended.certificate, ended.key, authority.root, "expired at .*; renew it"),
        (good.certificate, good.key, b"", "tls_client_ca .* has no certificates in PEM"),
    ]
    with caplog.at_level(logging.DEBUG), capture_logs() as logs:
        for chain, private, roots, message in cases:
            for path, data in ((certificate, chain), (key, private), (root, roots)):
                path.write_bytes(data)
            with pytest.raises(ConfigError, match=message) as error:
                ServerCertificate(certificate, key, root)
            assert not any(line in str(error.value) for line in private.decode().splitlines()[1:-1])
        root.unlink()
        with pytest.raises(ConfigError, match="No such file"):
            ServerCertificate(certificate, key, root)
    assert "PRIVATE" not in caplog.text
    assert "PRIVATE" not in str(logs)
