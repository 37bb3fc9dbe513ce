"""How a client proves who it is, and to whom it does so."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypedDict

import grpc

AUTHORIZATION = "authorization"


class Access(TypedDict, total=False):
    """The keywords of a client that say how it proves who it is, and how the connection is kept private.

    api_key: an API key, sent with every call.
    token: gives the JWT to send, asked before every try of a call: it should hold on to one that is still good.
    tls: use TLS, with the system's roots; implied by each of the next three.
    root_certificates: a PEM file of the roots to trust instead.
    client_certificate, client_key: PEM files of the certificate to show and of its private key.
    insecure_credentials: send a key or token without TLS to another machine, where everybody on the way can read it.
    credentials: gRPC's own, instead of the four about TLS.
    """

    api_key: str
    token: Callable[[], str] | None
    tls: bool
    root_certificates: Path | str | None
    client_certificate: Path | str | None
    client_key: Path | str | None
    insecure_credentials: bool
    credentials: grpc.ChannelCredentials | None


@dataclass(frozen=True, slots=True)
class Credentials:
    """Sound settings of `Access` for `target`: no secret leaves this machine without TLS unless that was asked for.

    Raises ValueError for settings that contradict each other, and never shows a secret.
    """

    target: str
    api_key: str = field(default="", repr=False)
    token: Callable[[], str] | None = None
    tls: bool = False
    root_certificates: Path | str | None = None
    client_certificate: Path | str | None = None
    client_key: Path | str | None = None
    insecure_credentials: bool = False
    credentials: grpc.ChannelCredentials | None = None

    def __post_init__(self) -> None:
        files = (self.root_certificates, self.client_certificate, self.client_key)
        if self.api_key and self.token is not None:
            raise ValueError("found api_key and token, expected one of them: a call is made as one caller")
        if (self.client_certificate is None) != (self.client_key is None):
            raise ValueError("client_certificate and client_key belong together, found one without the other")
        if self.credentials is not None and (self.tls or any(files)):
            raise ValueError("found credentials beside settings of TLS, expected either")
        _check_secret("api_key", self.api_key)
        if self._has_secret and not (self.secure or self.insecure_credentials or is_loopback(self.target)):
            raise ValueError(
                f"a key or token would go to {self.target} unencrypted: use tls=True, root_certificates or a client "
                "certificate, or insecure_credentials=True if nobody else can listen on the way"
            )

    @property
    def secure(self) -> bool:
        """Whether the connection is encrypted."""
        files = (self.root_certificates, self.client_certificate)
        return self.credentials is not None or self.tls or any(file is not None for file in files)

    @property
    def channel(self) -> grpc.ChannelCredentials | None:
        """What to open the channel with, None for one without TLS. Raises OSError for a file that cannot be read."""
        if self.credentials is not None or not self.secure:
            return self.credentials
        return grpc.ssl_channel_credentials(
            _read(self.root_certificates), _read(self.client_key), _read(self.client_certificate)
        )

    def metadata(self) -> tuple[tuple[str, str], ...]:
        """What a call carries as its proof; whatever `token` raises is raised."""
        secret = self.api_key if self.token is None else self.token()
        _check_secret("token", secret)
        return ((AUTHORIZATION, f"Bearer {secret}"),) if secret else ()

    @property
    def _has_secret(self) -> bool:
        return bool(self.api_key) or self.token is not None


def is_loopback(target: str) -> bool:
    """Whether all addresses of a gRPC target are this machine's own."""
    if target.startswith(("unix:", "unix-abstract:")):
        return True
    scheme = next((s for s in ("dns:///", "dns:", "ipv4:", "ipv6:") if target.startswith(s)), "")
    return all(_is_loopback_address(address) for address in target.removeprefix(scheme).split(","))


def _is_loopback_address(address: str) -> bool:
    host = address[1:].partition("]")[0] if address.startswith("[") else address
    if not address.startswith("[") and address.count(":") == 1:
        host = address.partition(":")[0]
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:  # a name, which may lead anywhere
        return False


def _check_secret(name: str, secret: str) -> None:
    # gRPC would name neither the option nor the reason, and its message would hold the secret.
    if not isinstance(secret, str) or not (secret.isascii() and secret.isprintable()) or " " in secret:
        raise ValueError(f"{name} is no text of printable ASCII characters without spaces, as a header needs it")


def _read(file: Path | str | None) -> bytes | None:
    return None if file is None else Path(file).read_bytes()
