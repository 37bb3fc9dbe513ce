"""The client certificate of a connection, which TLS has checked against the client CA."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache

from cryptography import x509

from cascade_server.access.refusals import Refusal
from cascade_server.errors import UnauthenticatedError


@dataclass(frozen=True, slots=True)
class Certificate:
    """What a client certificate says of its holder; it was valid when the connection was made."""

    alternative_names: tuple[str, ...]
    common_name: str | None
    expires_at: datetime

    @property
    def names(self) -> tuple[str, ...]:
        """Every name, the alternative ones first."""
        return (*self.alternative_names, *(() if self.common_name is None else (self.common_name,)))


def certificate_of(auth_context: Mapping[str, Iterable[bytes]]) -> Certificate | None:
    """The client certificate of a call with this auth context, None when the connection showed none.

    Raises UnauthenticatedError for one that TLS let pass and that cannot be read.
    """
    pem = next(iter(auth_context.get("x509_pem_cert", ())), None)
    if pem is None:
        return None
    common = next(iter(auth_context.get("x509_common_name", ())), b"").decode(errors="replace")
    alternative = auth_context.get("x509_subject_alternative_name", ())
    return Certificate(tuple(name.decode(errors="replace") for name in alternative), common or None, _expiry(pem))


# A connection asks with the same certificate again and again.
@lru_cache(maxsize=1024)
def _expiry(pem: bytes) -> datetime:
    try:
        return x509.load_pem_x509_certificate(pem).not_valid_after_utc
    except ValueError as error:
        raise UnauthenticatedError("the client certificate cannot be read", Refusal.MALFORMED) from error
