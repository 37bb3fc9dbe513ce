"""Secrets of keys: made once, shown once, and kept as a digest."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets

_KEY_ID = re.compile(r"[a-z0-9]{1,32}")
_SECRET = re.compile(rf"csk_({_KEY_ID.pattern})_[A-Za-z0-9_-]{{43}}")


def new_key_id() -> str:
    """A new name for a key, from which nothing of its secret can be learnt."""
    return secrets.token_hex(6)


def is_key_id(text: str) -> bool:
    """Whether `text` has the form of a key's name."""
    return _KEY_ID.fullmatch(text) is not None


def new_secret(key_id: str) -> tuple[str, bytes]:
    """A secret of 256 random bits for the key `key_id`, and its digest to keep."""
    secret = f"csk_{key_id}_{secrets.token_urlsafe(32)}"
    return secret, _digest(secret)


def key_id_of(secret: str) -> str | None:
    """The key that `secret` claims to be of, None for what has not the form of a secret."""
    found = _SECRET.fullmatch(secret)
    return None if found is None else found[1]


def matches(secret: str, digest: bytes) -> bool:
    """Whether `digest` is that of `secret`, found out in a time that says nothing of where they differ."""
    return hmac.compare_digest(_digest(secret), digest)


def _digest(secret: str) -> bytes:
    # 256 random bits cannot be guessed from a fast hash; a slow one would only make every request slow.
    return hashlib.sha256(secret.encode(errors="replace")).digest()
