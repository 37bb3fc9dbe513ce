"""Checks signed tokens (JSON Web Tokens, RFC 7519) and reads who they are for."""

from __future__ import annotations

import hashlib
import math
import time
from dataclasses import dataclass
from typing import Any

import jwt
from jwt.exceptions import ExpiredSignatureError, ImmatureSignatureError, PyJWTError

from cascade_server.access.jwks import ALGORITHMS, PublicKey
from cascade_server.access.key_sources import KeySource
from cascade_server.access.principal import Principal
from cascade_server.access.refusals import Refusal
from cascade_server.cascade_files import NAME
from cascade_server.control.state import Role
from cascade_server.errors import UnauthenticatedError
from cascade_server.status import shorten

MOST_CHARS = 8192
OPERATOR = "*"
"""What the tenant's claim says in an operator's token."""
_MOST_NAME_CHARS = 255
_MOST_KNOWN = 10_000
_LEEWAY_SECONDS = 10
"""How far the clocks of whoever signs and of this machine may be apart."""

_ROLES = {role.name.lower(): role for role in Role}


@dataclass(frozen=True, slots=True)
class _Known:
    """A token that was checked, good while its key is in the set and until it expires (seconds since 1970)."""

    principal: Principal
    signed_with: tuple[str, str]
    key: PublicKey
    expires_at: float


class Tokens:
    """Accepts a token only for its signature by one of `keys`, made for `audience` by `issuer`, within its time.

    Nothing in the token's own header has a say but `kid`, which chooses among `keys`, and `alg`, which must be the one
    that the chosen key is for (RFC 8725).
    """

    def __init__(self, keys: KeySource, audience: str, issuer: str, tenant_claim: str, role_claim: str) -> None:
        self.keys = keys
        self._audience = audience
        self._issuer = issuer
        self._tenant_claim = tenant_claim
        self._role_claim = role_claim
        # Callers send the same token with every call, and checking it takes 50 times as long as recognizing it.
        self._known: dict[bytes, _Known] = {}

    async def principal(self, token: str) -> Principal:
        """Who `token` is for. Raises UnauthenticatedError."""
        if len(token) > MOST_CHARS:
            raise _invalid(f"has {len(token)} characters, expected at most {MOST_CHARS}")
        digest = hashlib.sha256(token.encode(errors="replace")).digest()
        known = self._known.get(digest)
        kid, algorithm = _header(token) if known is None else known.signed_with
        key = await self.keys.key(kid, algorithm)
        if key is None:
            raise _invalid(f"names the key {shorten(kid, 64)!r} for {algorithm}, which is not in the key set")
        if known is None or known.key is not key or time.time() >= known.expires_at:
            known = self._checked(token, kid, algorithm, key)
            if len(self._known) >= _MOST_KNOWN:
                self._known.clear()
            self._known[digest] = known
        return known.principal

    def _checked(self, token: str, kid: str, algorithm: str, key: PublicKey) -> _Known:
        try:
            claims = jwt.decode(
                token,
                key,
                algorithms=[algorithm],
                audience=self._audience,
                issuer=self._issuer,
                leeway=_LEEWAY_SECONDS,
                options={"require": ["exp", "iss", "aud", "sub"]},
            )
        except ExpiredSignatureError as error:
            raise UnauthenticatedError("the token has expired", Refusal.EXPIRED_TOKEN) from error
        except ImmatureSignatureError as error:
            raise _invalid("is not valid yet") from error
        except (PyJWTError, ValueError, TypeError, OverflowError, RecursionError) as error:
            raise _invalid(f"does not check: {shorten(str(error), 200)}") from error
        return _Known(self._read(claims), (kid, algorithm), key, float(claims["exp"]))

    def _read(self, claims: dict[str, Any]) -> Principal:
        for name in ("exp", "nbf", "iat"):
            value = claims.get(name, 0)
            if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
                raise _invalid(f"has a claim {name!r} that is no number")
        subject, role = claims["sub"], claims.get(self._role_claim)
        if not isinstance(subject, str) or not subject.isprintable() or not 0 < len(subject) <= _MOST_NAME_CHARS:
            raise _invalid(f"has a subject that is no text of 1 to {_MOST_NAME_CHARS} characters")
        if not isinstance(role, str) or role not in _ROLES:
            raise _invalid(f"has no role: the claim {self._role_claim!r} must be one of {', '.join(_ROLES)}")
        tenant = claims.get(self._tenant_claim)
        # A provider that forgets the claim must not make operators of everybody: that takes a word of its own.
        if tenant != OPERATOR and (not isinstance(tenant, str) or not NAME.fullmatch(tenant)):
            claim = self._tenant_claim
            raise _invalid(f"has no tenant: the claim {claim!r} must name one, or be {OPERATOR!r} for an operator")
        # No subject of a token can pass for a key's id.
        return Principal(f"token:{subject}", None if tenant == OPERATOR else tenant, _ROLES[role])


def _header(token: str) -> tuple[str, str]:
    """The kid and the algorithm that `token` names, before anything of it can be trusted."""
    try:
        header = jwt.get_unverified_header(token)
    except (PyJWTError, ValueError, RecursionError) as error:
        raise UnauthenticatedError(
            "what was sent as bearer is neither an API key (csk_...) nor a token", Refusal.MALFORMED
        ) from error
    algorithm, kid = header.get("alg"), header.get("kid")
    if algorithm not in ALGORITHMS:
        raise _invalid(f"is signed by {shorten(str(algorithm), 32)!r}, expected one of {', '.join(ALGORITHMS)}")
    if "crit" in header:
        raise _invalid("has critical header fields, which are not known here")
    if not isinstance(kid, str) or not 0 < len(kid) <= _MOST_NAME_CHARS:
        raise _invalid("names no key, expected a kid in its header")
    return kid, algorithm


def _invalid(problem: str) -> UnauthenticatedError:
    return UnauthenticatedError(f"the token {problem}", Refusal.INVALID_TOKEN)
