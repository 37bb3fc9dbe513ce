"""Serves TLS with a certificate that may be renewed on disk while the server runs."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import cast

import grpc
import structlog
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from cascade.errors import ConfigError
from cascade_server.settings import Settings

log = structlog.get_logger()


class ServerCertificate:
    """The certificate, its key and the client CA as they are on disk; while they do not fit, as they were before.

    gRPC for Python can require client certificates or not ask for them, and nothing in between: with a client CA every
    connection must show one, and API keys and tokens are sent beside it.
    """

    def __init__(self, certificate: Path, key: Path, client_ca: Path | None) -> None:
        """Raises ConfigError when they cannot be used."""
        self._certificate = certificate
        self._key = key
        self._client_ca = client_ca
        self._seen = self._signature()
        self._first = self._read()

    def credentials(self) -> grpc.ServerCredentials:
        """For a server's secure port."""
        # Its types do not know that None stands for no change.
        renewed = cast("Callable[[], grpc.ServerCertificateConfiguration]", self._renewed)
        return grpc.dynamic_ssl_server_credentials(self._first, renewed, self._client_ca is not None)

    def _renewed(self) -> grpc.ServerCertificateConfiguration | None:
        """What changed on disk, None for nothing; gRPC asks before each handshake, in a thread of its own."""
        try:
            signature = self._signature()
            if signature == self._seen:
                return None
            self._seen = signature
            fresh = self._read()
        except ConfigError as error:
            log.error("certificate_kept", problems=error.problems)
            return None
        log.info("certificate_renewed", certificate=str(self._certificate))
        return fresh

    def _signature(self) -> tuple[tuple[int, int, int], ...]:
        paths = [p for p in (self._certificate, self._key, self._client_ca) if p is not None]
        try:
            found = [path.stat() for path in paths]
        except OSError as error:
            raise ConfigError("tls", [str(error)]) from error
        return tuple((status.st_mtime_ns, status.st_size, status.st_ino) for status in found)

    def _read(self) -> grpc.ServerCertificateConfiguration:
        try:
            chain, key = self._certificate.read_bytes(), self._key.read_bytes()
            roots = None if self._client_ca is None else self._client_ca.read_bytes()
        except OSError as error:
            raise ConfigError("tls", [str(error)]) from error
        problems = [*self._chain_problems(chain, key)]
        if roots is not None:
            try:
                x509.load_pem_x509_certificates(roots)
            except ValueError:
                problems.append(f"tls_client_ca {self._client_ca} has no certificates in PEM")
        if problems:
            raise ConfigError("tls", problems)
        return grpc.ssl_server_certificate_configuration([(key, chain)], roots)

    def _chain_problems(self, chain: bytes, key: bytes) -> list[str]:
        """What is wrong with the certificate and its key; nothing of what is in the key."""
        try:
            first = x509.load_pem_x509_certificates(chain)[0]
        except ValueError:
            return [f"tls_certificate {self._certificate} has no certificate in PEM"]
        try:
            private = load_pem_private_key(key, password=None)
        except TypeError:
            return [f"tls_key {self._key} is encrypted, expected a key without a passphrase"]
        except (ValueError, UnsupportedAlgorithm):
            return [f"tls_key {self._key} has no private key in PEM"]
        form = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        if private.public_key().public_bytes(*form) != first.public_key().public_bytes(*form):
            return [f"tls_key {self._key} is not the key of tls_certificate {self._certificate}"]
        if first.not_valid_after_utc <= datetime.now(UTC):
            return [f"tls_certificate {self._certificate} expired at {first.not_valid_after_utc}; renew it"]
        return []


def listen(server: grpc.aio.Server, address: str, settings: Settings) -> int:
    """Have `server` listen on `address`, with TLS where the settings have a certificate. Returns the port.

    Raises ConfigError for a certificate that cannot be used, RuntimeError for an address that cannot be had.
    """
    if settings.tls_certificate is None or settings.tls_key is None:
        return server.add_insecure_port(address)
    certificate = ServerCertificate(settings.tls_certificate, settings.tls_key, settings.tls_client_ca)
    return server.add_secure_port(address, certificate.credentials())
