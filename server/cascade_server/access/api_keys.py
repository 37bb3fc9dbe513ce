"""Finds out whose a key's secret or a certificate is, among the keys that are in force."""

from __future__ import annotations

import secrets as random
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from cascade_server.access.certificates import Certificate
from cascade_server.access.principal import Principal
from cascade_server.access.refusals import Refusal
from cascade_server.control.secrets import key_id_of, matches
from cascade_server.control.state import Key, KeyDigest
from cascade_server.errors import UnauthenticatedError

PREFIX = "csk_"

# What a secret whose id nobody has is compared with, so that the time it takes does not tell ids that exist.
_NOBODY = random.token_bytes(32)


class ApiKeys:
    """Asks for the keys anew at every use, so that one which was revoked or has expired opens nothing."""

    def __init__(self, keys: Callable[[], Mapping[str, KeyDigest]], now: Callable[[], datetime]) -> None:
        self._keys = keys
        self._now = now
        self._named: tuple[Mapping[str, KeyDigest], Mapping[str, Sequence[Key]]] = ({}, {})

    def by_secret(self, secret: str) -> Principal:
        """Whose `secret` is. Raises UnauthenticatedError; only who has the whole secret learns that it has expired."""
        key_id = key_id_of(secret)
        found = None if key_id is None else self._keys().get(key_id)
        digest = None if found is None else found.digest
        right = matches(secret, _NOBODY if digest is None else digest)
        if found is None or digest is None or not right:
            raise UnauthenticatedError("the API key is not known; it may have been revoked", Refusal.UNKNOWN_KEY)
        if not found.key.usable(self._now()):
            raise UnauthenticatedError("the API key has expired; ask for a new one", Refusal.EXPIRED_KEY)
        return _principal(found.key)

    def by_certificate(self, certificate: Certificate) -> Principal | None:
        """Whom `certificate` stands for, None for nobody; its common name counts when no alternative name does.

        Raises UnauthenticatedError for one that has expired since the connection was made, and for one whose names
        stand for different callers.
        """
        now = self._now()
        if now >= certificate.expires_at:
            raise UnauthenticatedError("the client certificate has expired", Refusal.EXPIRED_CERTIFICATE)
        by_name = self._by_name()
        keys = [key for name in certificate.alternative_names for key in by_name.get(name, ()) if key.usable(now)]
        if not keys and certificate.common_name is not None:
            keys = [key for key in by_name.get(certificate.common_name, ()) if key.usable(now)]
        if len({(key.tenant, key.role) for key in keys}) > 1:
            raise UnauthenticatedError(
                "the client certificate stands for several callers that differ in tenant or role, expected one",
                Refusal.CONFLICTING,
            )
        return _principal(keys[0]) if keys else None

    def _by_name(self) -> Mapping[str, Sequence[Key]]:
        """The keys by the name of their certificate, sorted out once for each new state of the store."""
        keys = self._keys()
        if keys is not self._named[0]:
            by_name: dict[str, list[Key]] = {}
            for found in keys.values():
                if found.key.certificate_name is not None:
                    by_name.setdefault(found.key.certificate_name, []).append(found.key)
            self._named = (keys, by_name)
        return self._named[1]


def _principal(key: Key) -> Principal:
    return Principal(key.key_id, key.tenant, key.role)
