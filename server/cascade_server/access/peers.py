"""Where a connection comes from, as gRPC names its other end."""

from __future__ import annotations

from functools import lru_cache
from ipaddress import IPv6Address, ip_address
from urllib.parse import unquote


@lru_cache(1024)  # of connections, on which calls come by the thousand
def is_loopback(peer: str) -> bool:
    """Whether `peer`, such as `ipv4:127.0.0.1:5000`, `ipv6:%5B::1%5D:5000` or `unix:`, is on this machine."""
    scheme, _, rest = peer.partition(":")
    if scheme == "unix":
        return True
    if scheme not in ("ipv4", "ipv6"):
        return False
    host = unquote(rest).rpartition(":")[0].strip("[]")
    try:
        address = ip_address(host)
    except ValueError:
        return False
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped.is_loopback
    return address.is_loopback
