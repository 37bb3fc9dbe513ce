"""What may be written into the store."""

from __future__ import annotations

import math
from dataclasses import asdict
from datetime import date, datetime

from cascade.budget import Priority
from cascade.errors import InvalidInputError, Violation
from cascade_server.cascade_files import NAME
from cascade_server.control.state import Quota

_MAX_LABEL_CHARS = 200
_MOST = 2**53
"""Beyond it a float does not count by one any more."""
_COUNTS = ("burst_tokens", "max_concurrent_requests", "max_depth", "max_documents", "max_request_tokens")


def check_name(field: str, name: str) -> None:
    """Raises InvalidInputError unless `name` may name a tenant or cascade: never a path, nor part of one."""
    if not NAME.fullmatch(name):
        rule = "use lower-case letters, digits, _ and -, at most 63, beginning with a letter or digit"
        _refuse(field, f"found {name[:80]!r}; {rule}")


def check_quota(quota: Quota) -> None:
    """Raises InvalidInputError for numbers that set no limit that can be kept."""
    wrong: list[Violation] = []
    rate = quota.tokens_per_second
    if rate is not None and not 0 < rate <= _MOST:
        wrong.append(Violation("quota.tokens_per_second", f"found {rate:g}, expected more than 0 and at most {_MOST}"))
    if quota.burst_tokens is not None and rate is None:
        wrong.append(
            Violation("quota.burst_tokens", "found without tokens_per_second; give that too, or leave both out")
        )
    values = asdict(quota)
    for name in _COUNTS:
        if values[name] is not None and not 1 <= values[name] <= _MOST:
            wrong.append(Violation(f"quota.{name}", f"found {values[name]}, expected 1 to {_MOST}"))
    if not 0 < quota.weight <= 1e6:
        wrong.append(Violation("quota.weight", f"found {quota.weight:g}, expected more than 0 and at most 1000000"))
    if quota.priority is Priority.SHADOW:
        wrong.append(Violation("quota.priority", "found shadow, expected high, normal or low"))
    if wrong:
        raise InvalidInputError(wrong)


def check_percent(percent: float) -> None:
    """Raises InvalidInputError unless `percent` is from 0 to 100."""
    if math.isnan(percent) or not 0 <= percent <= 100:
        _refuse("percent", f"found {percent:g}, expected 0 to 100")


def check_label(field: str, text: str) -> None:
    """Raises InvalidInputError for what cannot be shown on one line."""
    if len(text) > _MAX_LABEL_CHARS or not text.isprintable():
        _refuse(field, f"found {len(text)} characters, expected at most {_MAX_LABEL_CHARS}, all of them printable")


def check_expiry(expires_at: datetime | None, now: datetime) -> None:
    """Raises InvalidInputError for a key that would never open anything."""
    if expires_at is None:
        return
    if expires_at.tzinfo is None:
        _refuse("expires_at", f"found {expires_at.isoformat()} without a time zone; give it one")
    if expires_at <= now:
        _refuse("expires_at", f"found {expires_at.isoformat()}, which has passed; give a later one")


def check_day(field: str, day: str) -> None:
    """Raises InvalidInputError unless `day` is empty or one such as 2026-01-31."""
    try:
        if not day or date.fromisoformat(day).isoformat() == day:
            return
    except ValueError:
        pass
    _refuse(field, f"found {day[:80]!r}, expected a day such as 2026-01-31")


def _refuse(field: str, message: str) -> None:
    raise InvalidInputError([Violation(field, message)])
