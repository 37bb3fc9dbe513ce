"""Every violation of a request to the control plane is found, with its field, and nothing is changed."""

from __future__ import annotations

from typing import Any

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from cascade_api.v1 import admin_pb2, quota_pb2

pytestmark = pytest.mark.asyncio(loop_scope="session")

_BAD_QUOTA = quota_pb2.Quota(
    tokens_per_second=float("nan"),
    burst_tokens=2**60,
    max_concurrent_requests=2**32 - 1,
    priority=9,  # type: ignore[arg-type]  # what an enum's field may hold on the wire
    weight=-1.0,
)
_QUOTA_FIELDS = {
    f"quota.{name}" for name in ("tokens_per_second", "burst_tokens", "max_concurrent_requests", "priority", "weight")
}

_CASES = [
    ("CreateTenant", {"name": "../up", "quota": _BAD_QUOTA}, {"name"} | _QUOTA_FIELDS),
    ("CreateTenant", {}, {"name"}),
    ("CreateTenant", {"name": "x" * 64}, {"name"}),
    ("CreateTenant", {"name": "a", "quota": quota_pb2.Quota(burst_tokens=1)}, {"quota.burst_tokens"}),
    ("SetQuota", {"tenant": "Ä"}, {"tenant", "quota"}),
    ("SetQuota", {"tenant": "default", "quota": _BAD_QUOTA}, _QUOTA_FIELDS),
    ("DeleteTenant", {"name": "a/b"}, {"name"}),
    ("ValidateCascade", {"tenant": "..", "text": " "}, {"tenant", "text"}),
    ("PutCascade", {"tenant": "A", "cascade": "a.b", "text": ""}, {"tenant", "cascade", "text"}),
    ("PutCascade", {"cascade": "a", "text": "x" * 70_000}, {"text"}),
    ("PutCascade", {"cascade": "a", "text": "#\n" * 3000}, {"text"}),
    ("ListCascadeVersions", {"tenant": "-a", "cascade": "%"}, {"tenant", "cascade"}),
    ("GetCascadeVersion", {"cascade": "", "version": 2**32 - 1}, {"cascade", "version"}),
    (
        "DiffCascade",
        {"cascade": "a b", "from_version": 2**31, "to_version": 2**31},
        {"cascade", "from_version", "to_version"},
    ),
    ("ActivateCascade", {}, {"cascade", "version"}),
    ("RollBackCascade", {"cascade": "a\0"}, {"cascade"}),
    ("SetCanary", {"cascade": "A", "version": 1, "percent": 101}, {"cascade", "percent"}),
    ("SetCanary", {"cascade": "a", "version": 1, "percent": float("nan")}, {"percent"}),
    ("SetCanary", {"cascade": "a", "version": 1}, {"percent"}),
    ("SetCanary", {"cascade": "a", "percent": 5}, {"version"}),
    ("SetShadow", {"cascade": "", "version": 2**31, "percent": -1}, {"cascade", "version", "percent"}),
    ("DeactivateCascade", {"tenant": "?", "cascade": "?"}, {"tenant", "cascade"}),
    (
        "CreateKey",
        {"tenant": "/", "label": "a\nb", "certificate_name": "x" * 201, "expires_at": Timestamp(seconds=1)},
        {"tenant", "role", "label", "certificate_name", "expires_at"},
    ),
    ("CreateKey", {"role": admin_pb2.ROLE_READER, "expires_at": Timestamp(seconds=2**62)}, {"expires_at"}),
    ("ListKeys", {"tenant": "*"}, {"tenant"}),
    ("RevokeKey", {}, {"key_id"}),
    ("ListAuditEntries", {"tenant": "'", "limit": 1001, "before": 2**64 - 1}, {"tenant", "limit", "before"}),
    ("GetUsage", {"since": "2026-02-30", "until": "today"}, {"since", "until"}),
    ("GetUsage", {"since": "2026-02-03", "until": "2026-02-02"}, {"since"}),
]


@pytest.mark.parametrize(("method", "fields", "found"), _CASES)
async def test_every_violation_is_named(
    operator: Any, refused: Any, method: str, fields: dict[str, Any], found: set[str]
) -> None:
    refusal = await refused(operator(method, **fields))
    assert refusal.code is grpc.StatusCode.INVALID_ARGUMENT
    assert set(refusal.violations) == found


async def test_what_may_be_a_secret_is_not_repeated(operator: Any, refused: Any) -> None:
    secret = (await operator("CreateKey", role=admin_pb2.ROLE_READER)).secret
    refusal = await refused(operator("RevokeKey", key_id=secret))
    assert refusal.violations.keys() == {"key_id"}
    assert secret not in str(refusal)


async def test_yaml_that_would_grow_without_end_is_refused_at_once(admin: Any) -> None:
    lines = ["a0: &a0 {x: 1, y: 2}"]
    lines += [f"a{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * 9)}]}}" for n in range(1, 12)]
    found = await admin("ValidateCascade", text="\n".join(lines))
    assert found.problems
