"""Who is on the same machine."""

from __future__ import annotations

import pytest

from cascade_server.access.peers import is_loopback


@pytest.mark.parametrize(
    "peer",
    [
        "ipv4:127.0.0.1:5000",
        "ipv4:127.3.2.1:1",
        "ipv6:[::1]:5000",
        "ipv6:%5B::1%5D:5000",
        "ipv6:%5B::ffff:127.0.0.1%5D:5000",
        "unix:",
        "unix:/run/cascade.sock",
    ],
)
def test_a_peer_on_this_machine_is_loopback(peer: str) -> None:
    assert is_loopback(peer)


@pytest.mark.parametrize(
    "peer",
    [
        "ipv4:10.0.0.1:5000",
        "ipv4:0.0.0.0:5000",
        "ipv4:128.0.0.1:5000",
        "ipv6:[::2]:5000",
        "ipv6:%5Bfe80::1%25eth0%5D:5000",
        "ipv6:%5B::ffff:10.0.0.1%5D:5000",
        "ipv4:127.0.0.1.example.com:5000",
        "dns:localhost:5000",
        "127.0.0.1:5000",
        "vsock:2:5000",
        "unknown",
        "ipv4:",
        "",
    ],
)
def test_any_other_peer_is_not(peer: str) -> None:
    assert not is_loopback(peer)
