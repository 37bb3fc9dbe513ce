"""A port that several processes listen on, held by none of them."""

from __future__ import annotations

import socket
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager

from cascade.errors import ConfigError


@contextmanager
def shared_port(host: str, port: int) -> Iterator[int]:
    """The port, or a free one for 0, which is this program's to share for the length of the block.

    The kernel gives each connection to one of the sockets that listen. Raises ConfigError where it cannot, or where
    somebody else listens there: two servers on one port would share its calls without a word.
    """
    if sys.platform != "linux":
        raise ConfigError("workers", [f"found several on {sys.platform}; sharing a port takes Linux, expected 1"])
    with closing(_held(host, port)) as held:
        yield held.getsockname()[1]


def _held(host: str, port: int) -> socket.socket:
    """Bound and never listening: nobody else gets the port meanwhile, and no connection comes here."""
    try:
        family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        if port:
            with closing(socket.socket(family, kind)) as alone:
                alone.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                alone.bind(address)
                alone.listen(1)
        held = socket.socket(family, kind)
        try:
            held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            # Connections of a server that stopped keep its port for a minute from those that do not say this.
            held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            held.bind(address)
            held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0)  # nobody else is to listen here
        except OSError:
            held.close()
            raise
    except OSError as error:
        problem = f"{host}:{port} cannot be listened on ({error}); is another server running there?"
        raise ConfigError("port", [problem]) from error
    return held
