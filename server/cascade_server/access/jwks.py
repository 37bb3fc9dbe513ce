"""Reads a JSON Web Key Set (RFC 7517): the public keys that tokens are checked against."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from jwt import PyJWK
from jwt.exceptions import PyJWTError

PublicKey = RSAPublicKey | EllipticCurvePublicKey
KeySet = Mapping[tuple[str, str], PublicKey]
"""Public keys by kid and the one algorithm that each is good for."""

ALGORITHMS = ("RS256", "ES256")
MOST_BYTES = 1_000_000
_LEAST_RSA_BITS = 2048


class JwksError(Exception):
    """What was read is no key set, or none that a token could be checked against."""


def parse_jwks(data: bytes) -> KeySet:
    """The keys of a set that check RS256 or ES256 and have a kid; all others are left out.

    Raises JwksError when there are none.
    """
    if len(data) > MOST_BYTES:
        raise JwksError(f"has more than {MOST_BYTES} bytes")
    try:
        document = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise JwksError("is not JSON") from error
    entries = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(entries, list):
        raise JwksError('has no list "keys", expected a JSON Web Key Set')
    found: dict[tuple[str, str], PublicKey] = {}
    left_out: list[str] = []
    for position, entry in enumerate(entries):
        problem = _problem(entry)
        key = None if problem else _public_key(entry)
        if key is None:
            left_out.append(f"keys[{position}] {problem or 'is no public key of its kind'}")
        else:
            found[entry["kid"], _ALGORITHM_OF[entry["kty"]]] = key
    if not found:
        raise JwksError("; ".join(["has no key for RS256 or ES256", *left_out[:5]]))
    return found


_ALGORITHM_OF = {"RSA": "RS256", "EC": "ES256"}


def _problem(entry: Any) -> str:
    """Why an entry of the set is no use here, empty when it may be."""
    if not isinstance(entry, dict):
        return "is no object"
    algorithm = _ALGORITHM_OF.get(str(entry.get("kty")))
    if algorithm is None or entry.get("alg", algorithm) != algorithm:
        return "is neither for RS256 nor for ES256"
    if entry.get("use", "sig") != "sig":
        return "is not for signatures"
    if not isinstance(entry.get("kid"), str) or not entry["kid"]:
        return "has no kid"
    return "is a private key, which must never be published" if "d" in entry else ""


def _public_key(entry: dict[str, Any]) -> PublicKey | None:
    try:
        key = PyJWK.from_dict(entry, _ALGORITHM_OF[entry["kty"]]).key
    except (PyJWTError, ValueError, TypeError):
        return None
    if isinstance(key, RSAPublicKey) and key.key_size >= _LEAST_RSA_BITS:
        return key
    return key if isinstance(key, EllipticCurvePublicKey) and isinstance(key.curve, SECP256R1) else None
