"""Which requests fall into a share of them, the same ones in every process and on every day."""

from __future__ import annotations

from hashlib import blake2b
from typing import Literal

Purpose = Literal["canary", "shadow"]


def falls_within(percent: float, purpose: Purpose, tenant: str, cascade: str, key: str) -> bool:
    """Whether requests with `key` are among `percent` of the requests for a cascade.

    What is within a share is within every larger one. The requests of one purpose say nothing about those of another.
    """
    if percent >= 100.0:
        return True
    digest = blake2b(f"{tenant}\0{cascade}\0{key}".encode(), digest_size=8, person=purpose.encode())
    return int.from_bytes(digest.digest()) < percent / 100.0 * 2**64
