"""Finds out who is calling, by API key, token or client certificate."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import grpc

from cascade_server.access.api_keys import PREFIX, ApiKeys
from cascade_server.access.certificates import certificate_of
from cascade_server.access.key_sources import key_source
from cascade_server.access.peers import is_loopback
from cascade_server.access.principal import Principal
from cascade_server.access.refusals import Refusal
from cascade_server.access.roles import Metadata
from cascade_server.access.tokens import Tokens
from cascade_server.control.state import Role, State
from cascade_server.errors import UnauthenticatedError
from cascade_server.settings import Settings

Context = grpc.aio.ServicerContext[Any, Any]

ANONYMOUS = Principal("anonymous", None, Role.ADMIN)
"""Any caller of a server that is open: it is on the same machine, and there is nothing to check it by."""


class Authenticator:
    """Who a caller is depends on its credentials and on nothing else that it sends.

    Open to callers on the same machine until the first key is made; from then on closed to all without credentials,
    also when every key has ended. Closed from the beginning when tokens, client certificates or `require_credentials`
    are set.
    """

    def __init__(
        self, settings: Settings, state: Callable[[], State], *, now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        """`settings` must have passed `configured.check_access`; `state` gives what the store says now."""
        self._state = state
        self._keys = ApiKeys(lambda: state().keys, now)
        self._tokens = _tokens(settings)
        self._certificates = settings.tls_client_ca is not None
        self._always_closed = settings.require_credentials or self._tokens is not None or self._certificates

    async def start(self) -> None:
        """Read the keys that tokens are checked against. Raises ConfigError."""
        if self._tokens is not None:
            await self._tokens.keys.start()

    async def aclose(self) -> None:
        """Stop reading them."""
        if self._tokens is not None:
            await self._tokens.keys.aclose()

    async def authenticate(self, context: Context) -> Principal:
        """Who calls. Raises UnauthenticatedError."""
        bearer = bearer_of(context.invocation_metadata() or ())
        certificate = certificate_of(context.auth_context()) if self._certificates else None
        by_certificate = None if certificate is None else self._keys.by_certificate(certificate)
        if bearer is not None:
            principal = await self._by_bearer(bearer)
            if by_certificate is not None and (principal.tenant, principal.role) != (
                by_certificate.tenant,
                by_certificate.role,
            ):
                raise UnauthenticatedError(
                    "the client certificate stands for another tenant or role than the bearer's; send one of the two",
                    Refusal.CONFLICTING,
                )
            return principal
        if by_certificate is not None:
            return by_certificate
        if certificate is not None:
            names = ", ".join(certificate.names[:5]) or "none"
            raise UnauthenticatedError(
                f"no key stands for the client certificate's names ({names}); {self._accepted}",
                Refusal.UNKNOWN_CERTIFICATE,
            )
        if not self._closed and is_loopback(context.peer()):
            return ANONYMOUS
        raise UnauthenticatedError(f"no credentials found; {self._accepted}", Refusal.NO_CREDENTIALS)

    async def _by_bearer(self, bearer: str) -> Principal:
        if bearer.startswith(PREFIX):
            return self._keys.by_secret(bearer)
        if self._tokens is None:
            raise UnauthenticatedError(
                f"what was sent as bearer is no API key, expected {PREFIX}...; tokens are not set up", Refusal.MALFORMED
            )
        return await self._tokens.principal(bearer)

    @property
    def _closed(self) -> bool:
        return self._always_closed or self._state().keyed

    @property
    def _accepted(self) -> str:
        if not self._closed:
            return (
                "this server has no keys yet and answers its own machine only; make an operator's key there with "
                "`cascade admin key create --role admin`, and send it as `authorization: Bearer KEY`"
            )
        ways = ["send `authorization: Bearer KEY` with an API key"]
        if self._tokens is not None:
            ways.append("or a token")
        if self._certificates:
            ways.append("or show a client certificate that a key stands for")
        return " ".join(ways)


def bearer_of(metadata: Metadata) -> str | None:
    """What follows `Bearer` in the metadata `authorization`, None without such metadata.

    Raises UnauthenticatedError for more than one, or anything but Bearer.
    """
    found = [value for key, value in metadata if key == "authorization"]
    if not found:
        return None
    if len(found) > 1:
        raise UnauthenticatedError(f"found {len(found)} entries `authorization`, expected one", Refusal.CONFLICTING)
    value = found[0] if isinstance(found[0], str) else ""
    scheme, _, bearer = value.partition(" ")
    if scheme.lower() != "bearer" or not bearer.strip():
        raise UnauthenticatedError("the metadata `authorization` is not `Bearer KEY`", Refusal.MALFORMED)
    return bearer.strip()


def _tokens(settings: Settings) -> Tokens | None:
    if not settings.jwt_jwks:
        return None
    return Tokens(
        key_source(settings.jwt_jwks),
        settings.jwt_audience or "",
        settings.jwt_issuer or "",
        settings.jwt_tenant_claim,
        settings.jwt_role_claim,
    )
