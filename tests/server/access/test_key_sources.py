"""Key sets are kept up to date, and a failure keeps what was there."""

from __future__ import annotations

import asyncio
import json
import os
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from cascade.errors import ConfigError
from cascade_server.access.jwks import MOST_BYTES
from cascade_server.access.key_sources import KeyAddress, KeyFile, fetch_https, key_source

URL = "https://issuer.example/keys"


class Published:
    """A key set at an address, which counts how often it is asked for."""

    def __init__(self, data: bytes) -> None:
        self.data: bytes | OSError = data
        self.asked = 0
        self.time = 0.0
        self.open = threading.Event()
        self.open.set()

    def fetch(self, url: str) -> bytes:
        assert url == URL
        self.asked += 1
        self.open.wait()
        if isinstance(self.data, OSError):
            raise self.data
        return self.data

    def source(self) -> KeyAddress:
        return KeyAddress(URL, fetch=self.fetch, clock=lambda: self.time, refresh_seconds=300.0, least_seconds=10.0)


def renamed(signer: Any, **kids: str) -> bytes:
    entries = [entry | {"kid": kids.get(entry["kid"], entry["kid"])} for entry in signer.key_set["keys"]]
    return json.dumps({"keys": entries}).encode()


def replace(path: Path, data: bytes) -> None:
    """As those who rotate keys do: whole, under a name of its own first."""
    fresh = path.with_suffix(".new")
    fresh.write_bytes(data)
    os.replace(fresh, path)


async def test_a_file_is_read_again_when_it_changes(tmp_path: Path, signer: Any) -> None:
    path = tmp_path / "jwks.json"
    path.write_bytes(signer.published)
    source = key_source(str(path))
    await source.start()
    assert await source.key("ec", "ES256") is not None
    assert await source.key("ec", "RS256") is None
    replace(path, renamed(signer, ec="next"))
    assert await source.key("next", "ES256") is not None
    assert await source.key("ec", "ES256") is None
    await source.aclose()


@pytest.mark.parametrize("data", [b"half a fi", b'{"keys": []}', None])
async def test_a_file_that_goes_wrong_keeps_the_keys_it_had(tmp_path: Path, signer: Any, data: bytes | None) -> None:
    path = tmp_path / "jwks.json"
    path.write_bytes(signer.published)
    source = KeyFile(path)
    await source.start()
    path.unlink() if data is None else replace(path, data)
    assert await source.key("ec", "ES256") is not None
    path.write_bytes(renamed(signer, ec="next"))
    assert await source.key("next", "ES256") is not None


@pytest.mark.parametrize("data", [b"{}", None])
async def test_a_file_without_keys_at_the_start_is_said_with_its_name(tmp_path: Path, data: bytes | None) -> None:
    path = tmp_path / "jwks.json"
    if data is not None:
        path.write_bytes(data)
    with pytest.raises(ConfigError, match=f"jwt_jwks: .*{path.name}"):
        await KeyFile(path).start()


async def test_an_address_is_fetched_in_the_background_at_the_start(signer: Any) -> None:
    published = Published(signer.published)
    published.open.clear()
    source = published.source()
    await source.start()
    published.open.set()
    assert await source.key("rsa", "RS256") is not None
    assert published.asked == 1
    await source.aclose()


async def test_many_unknown_kids_cause_one_fetch_and_later_one_more(signer: Any) -> None:
    published = Published(signer.published)
    source = published.source()
    found = await asyncio.gather(*(source.key(f"made-up-{i}", "ES256") for i in range(100)))
    assert (found, published.asked) == ([None] * 100, 1)
    published.time = 9.9
    assert await source.key("next", "ES256") is None
    assert published.asked == 1
    published.time = 10.0
    published.data = renamed(signer, ec="next")
    assert await source.key("next", "ES256") is not None
    assert published.asked == 2
    assert await source.key("ec", "ES256") is None


async def test_a_known_key_never_waits_for_a_fetch(signer: Any) -> None:
    published = Published(signer.published)
    source = published.source()
    assert await source.key("ec", "ES256") is not None
    published.open.clear()
    published.time = 300.0
    unknown = asyncio.create_task(source.key("made-up", "ES256"))
    try:
        assert await source.key("ec", "ES256") is not None
        assert not unknown.done()
    finally:
        published.open.set()
    assert await unknown is None


async def test_a_caller_who_gives_up_does_not_end_the_fetch_of_others(signer: Any) -> None:
    published = Published(signer.published)
    published.open.clear()
    source = published.source()
    first = asyncio.create_task(source.key("ec", "ES256"))
    second = asyncio.create_task(source.key("ec", "ES256"))
    await asyncio.sleep(0)
    first.cancel()
    published.open.set()
    assert await second is not None
    assert published.asked == 1


async def test_a_failed_fetch_keeps_the_keys_and_is_tried_again_later(signer: Any) -> None:
    published = Published(signer.published)
    source = published.source()
    assert await source.key("ec", "ES256") is not None
    published.time, published.data = 20.0, OSError("no route to host")
    assert await source.key("next", "ES256") is None
    assert await source.key("ec", "ES256") is not None
    published.time, published.data = 30.0, b"<html>"
    assert await source.key("next", "ES256") is None
    assert await source.key("ec", "ES256") is not None
    published.time, published.data = 40.0, renamed(signer, ec="next")
    assert await source.key("next", "ES256") is not None
    assert published.asked == 4


async def test_keys_that_are_withdrawn_go_without_anybody_asking_for_new_ones(signer: Any) -> None:
    published = Published(signer.published)
    source = published.source()
    assert await source.key("ec", "ES256") is not None
    published.time, published.data = 300.0, renamed(signer, ec="next")
    assert await source.key("ec", "ES256") is not None
    await source.key("made-up", "ES256")
    assert await source.key("ec", "ES256") is None


class Handler(BaseHTTPRequestHandler):
    """Answers what the path says."""

    def do_GET(self) -> None:
        if self.path == "/moved":
            self.send_response(302)
            self.send_header("Location", "/keys")
            self.end_headers()
            return
        self.send_response(200 if self.path in ("/keys", "/huge") else 404)
        self.end_headers()
        self.wfile.write(b"x" * (MOST_BYTES + 1) if self.path == "/huge" else b"the keys")

    def log_message(self, *_args: object) -> None:
        """Quiet."""


@pytest.fixture
def https(authority: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Any], Any]:
    """Serves https with a certificate for the length of a block; the test trusts `authority`."""
    root = tmp_path / "root.pem"
    root.write_bytes(authority.root)
    monkeypatch.setenv("SSL_CERT_FILE", str(root))

    @contextmanager
    def serving(issuer: Any) -> Iterator[str]:
        issuer.server().write(tmp_path)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(tmp_path / "tls.crt", tmp_path / "tls.key")
        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"https://localhost:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()
            server.server_close()

    return serving


def test_an_address_is_fetched_by_https_and_followed_nowhere(https: Any, authority: Any) -> None:
    with https(authority) as base:
        assert fetch_https(f"{base}/keys") == b"the keys"
        with pytest.raises(OSError, match="answered 302, expected 200"):
            fetch_https(f"{base}/moved")
        with pytest.raises(OSError, match="answered 404, expected 200"):
            fetch_https(f"{base}/none")
        with pytest.raises(OSError, match="sent more than"):
            fetch_https(f"{base}/huge")


def test_an_address_with_a_certificate_that_nobody_vouches_for_is_not_read(https: Any, stranger: Any) -> None:
    with https(stranger) as base, pytest.raises(OSError, match="CERTIFICATE_VERIFY_FAILED"):
        fetch_https(f"{base}/keys")


def test_nobody_at_an_address_is_an_oserror() -> None:
    with pytest.raises(OSError, match="ConnectError"):
        fetch_https("https://127.0.0.1:1/keys")
