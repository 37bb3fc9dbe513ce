"""Requests to the control plane, checked: every violation is found and names its field."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from datetime import UTC, date, datetime

from google.protobuf import timestamp_pb2

from cascade_api.v1 import admin_pb2
from cascade_server.cascade_files import NAME
from cascade_server.control.state import Quota, Role
from cascade_server.convert.admin import ROLES
from cascade_server.convert.checks import Checks, quoted
from cascade_server.convert.quota import quota_of

MAX_TEXT_CHARS = 65_536
MAX_TEXT_LINES = 2000
"""Of a cascade: far more than any needs, and little enough to be read and compared within a request."""
MAX_LABEL_CHARS = 200
MAX_ENTRIES = 1000
DEFAULT_ENTRIES = 100
_MOST_VERSIONS = 2**31 - 1
_KEY_ID = re.compile(r"[a-z0-9]{1,32}")
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_BY_NUMBER = {number: role for role, number in ROLES.items()}


@dataclass(frozen=True, slots=True)
class NewKey:
    """What a key is to be; a `certificate_name` of None asks for a secret."""

    role: Role
    label: str
    expires_at: datetime | None
    certificate_name: str | None


def name_of(name: str, field: str) -> str:
    """The checked name of a tenant in the field `field`. Raises InvalidInputError."""
    checks = Checks()
    _name(name, field, checks)
    checks.done()
    return name


def first_quota(request: admin_pb2.CreateTenantRequest) -> Quota:
    """What a new tenant may use. Raises InvalidInputError with every violation."""
    checks = Checks()
    _name(request.name, "name", checks)
    quota = quota_of(request.quota, "quota", checks)
    checks.done()
    return quota


def next_quota(request: admin_pb2.SetQuotaRequest) -> Quota:
    """What a tenant may use from now on. Raises InvalidInputError with every violation."""
    checks = Checks()
    _name(request.tenant, "tenant", checks)
    if not request.HasField("quota"):
        checks.add("quota", "is absent, expected what the tenant may use; an empty quota sets no limits")
    quota = quota_of(request.quota, "quota", checks)
    checks.done()
    return quota


def check_cascade(tenant: str, cascade: str) -> None:
    """A tenant, empty for the caller's own, and a cascade by name. Raises InvalidInputError with every violation."""
    checks = _about(tenant, cascade)
    checks.done()


def check_tenant(tenant: str) -> None:
    """A tenant by name, or empty. Raises InvalidInputError."""
    _about(tenant).done()


def check_versions(tenant: str, cascade: str, **numbers: int) -> None:
    """As check_cascade, with numbers of versions by field, of which 0 has a meaning of its own."""
    checks = _about(tenant, cascade)
    for field, number in numbers.items():
        checks.require(number <= _MOST_VERSIONS, field, f"found {number}, expected at most {_MOST_VERSIONS}")
    checks.done()


def check_activation(request: admin_pb2.ActivateCascadeRequest) -> None:
    """A request for one version. Raises InvalidInputError with every violation."""
    checks = _about(request.tenant, request.cascade)
    if not 1 <= request.version <= _MOST_VERSIONS:
        checks.add("version", f"found {request.version}, expected the number of a version, from 1")
    checks.done()


def check_share(request: admin_pb2.SetCanaryRequest | admin_pb2.SetShadowRequest) -> tuple[int | None, float]:
    """The version and its share, None and 0 to end it. Raises InvalidInputError with every violation."""
    checks = _about(request.tenant, request.cascade)
    percent = request.percent
    checks.require(request.version <= _MOST_VERSIONS, "version", f"found {request.version}, expected fewer")
    if not (math.isfinite(percent) and 0 <= percent <= 100):
        checks.add("percent", f"found {percent:g}, expected 0 to 100")
    elif request.version and not percent:
        checks.add("percent", "found 0, expected more for a version that is to run; version 0 ends it")
    elif percent and not request.version:
        checks.add("version", f"found 0 with {percent:g} percent, expected a version; 0 ends it, with 0 percent")
    checks.done()
    return (request.version, percent) if request.version else (None, 0.0)


def check_text(tenant: str, cascade: str | None, text: str) -> None:
    """A cascade's text, and its name unless None. Raises InvalidInputError with every violation."""
    checks = _about(tenant, cascade)
    checks.require(bool(text.strip()), "text", "is blank, expected a cascade as YAML")
    for found, most, what in (
        (len(text), MAX_TEXT_CHARS, "characters"),
        (text.count("\n") + 1, MAX_TEXT_LINES, "lines"),
    ):
        checks.require(found <= most, "text", f"found {found} {what}, expected at most {most}")
    checks.done()


def check_listing(request: admin_pb2.ListCascadeVersionsRequest) -> None:
    """Whose versions of which cascade, empty for all. Raises InvalidInputError with every violation."""
    _about(request.tenant, request.cascade or None).done()


def new_key(request: admin_pb2.CreateKeyRequest, now: datetime) -> NewKey:
    """What key is asked for at `now`. Raises InvalidInputError with every violation."""
    checks = _about(request.tenant)
    if request.role not in _BY_NUMBER:
        checks.add("role", f"found {request.role}, expected ROLE_READER, ROLE_WRITER or ROLE_ADMIN")
    for field, text in (("label", request.label), ("certificate_name", request.certificate_name)):
        if len(text) > MAX_LABEL_CHARS or not text.isprintable():
            checks.add(field, f"found {quoted(text)}, expected at most {MAX_LABEL_CHARS} printable characters")
    expires_at = _moment(request.expires_at, "expires_at", checks) if request.HasField("expires_at") else None
    if expires_at is not None and expires_at <= now:
        checks.add("expires_at", f"found {expires_at.isoformat()}, which is past, expected a time to come")
    checks.done()
    return NewKey(_BY_NUMBER[request.role], request.label, expires_at, request.certificate_name or None)


def check_key_id(key_id: str) -> None:
    """What a key is called. Raises InvalidInputError, which does not repeat what may be a secret."""
    checks = Checks()
    checks.require(bool(_KEY_ID.fullmatch(key_id)), "key_id", "is no key_id as lists show it; a secret is none")
    checks.done()


def entries_limit(request: admin_pb2.ListAuditEntriesRequest) -> int:
    """How many entries are asked for. Raises InvalidInputError with every violation."""
    checks = _about(request.tenant)
    checks.require(request.limit <= MAX_ENTRIES, "limit", f"found {request.limit}, expected at most {MAX_ENTRIES}")
    checks.require(request.before < 2**63, "before", f"found {request.before}, expected the number of an entry")
    checks.done()
    return request.limit or DEFAULT_ENTRIES


def days(request: admin_pb2.GetUsageRequest, today: date) -> tuple[str, str]:
    """The first and the last day, in ISO form. Raises InvalidInputError with every violation."""
    checks = _about(request.tenant)
    for field, text in (("since", request.since), ("until", request.until)):
        if text and not _is_day(text):
            checks.add(field, f"found {quoted(text)}, expected a day such as 2026-01-31")
    since, until = request.since or date.min.isoformat(), request.until or today.isoformat()
    checks.done()
    if since > until:
        checks.add("since", f"found {since}, which is after until, {until}")
    checks.done()
    return since, until


def _about(tenant: str, cascade: str | None = None) -> Checks:
    checks = Checks()
    if tenant:
        _name(tenant, "tenant", checks)
    if cascade is not None:
        _name(cascade, "cascade", checks)
    return checks


def _name(name: str, field: str, checks: Checks) -> None:
    if not NAME.fullmatch(name):
        found = f"found {quoted(name)}" if name else "is empty"
        rule = "expected lower-case letters, digits, _ and -, at most 63, beginning with a letter or digit"
        checks.add(field, f"{found}, {rule}")


def _moment(message: timestamp_pb2.Timestamp, field: str, checks: Checks) -> datetime | None:
    try:
        return message.ToDatetime(tzinfo=UTC)
    except (ValueError, OverflowError):
        checks.add(field, f"found {message.seconds} s and {message.nanos} ns, expected a time of the years 1 to 9999")
        return None


def _is_day(text: str) -> bool:
    if not _DAY.fullmatch(text):
        return False
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True
