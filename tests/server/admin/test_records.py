"""What was done and what was used, over the wire."""

from __future__ import annotations

import json
from typing import Any

import grpc
import pytest

from cascade_api.v1 import quota_pb2
from cascade_server.control.state import Usage
from cascade_server.control.store import Store

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_every_change_says_who_did_what_to_whom_and_what_it_changed(
    operator: Any, admin: Any, tenant: str, search: str
) -> None:
    await admin("ActivateCascade", cascade=search, version=1)
    await admin("ActivateCascade", cascade=search, version=2)
    entry = (await admin("ListAuditEntries", limit=1)).entries[0]
    key_id = (await admin("ListKeys")).keys[0].key_id
    assert (entry.actor, entry.action, entry.tenant, entry.subject) == (key_id, "activate_cascade", tenant, search)
    assert (json.loads(entry.before)["active"], json.loads(entry.after)["active"]) == (1, 2)
    assert entry.at.seconds > 0


async def test_a_call_that_changes_nothing_leaves_no_entry(admin: Any, search: str) -> None:
    before = (await admin("ListAuditEntries")).entries
    await admin("ListCascadeVersions")
    await admin("DiffCascade", cascade=search, from_version=1)
    await admin("ValidateCascade", text="retrieve: [{kind: bm25}]")
    assert list((await admin("ListAuditEntries")).entries) == list(before)


async def test_entries_come_newest_first_and_page_by_page(operator: Any, tenant: str) -> None:
    for depth in range(1, 6):
        await operator("SetQuota", tenant=tenant, quota=quota_pb2.Quota(max_depth=depth))
    numbers = [entry.number for entry in (await operator("ListAuditEntries", tenant=tenant)).entries]
    assert numbers == sorted(numbers, reverse=True)
    first = (await operator("ListAuditEntries", tenant=tenant, limit=2)).entries
    second = (await operator("ListAuditEntries", tenant=tenant, limit=2, before=first[-1].number)).entries
    assert [entry.number for entry in (*first, *second)] == numbers[:4]


async def test_a_tenants_admin_reads_its_own_entries_only(operator: Any, admin: Any, tenant: str) -> None:
    assert {entry.tenant for entry in (await admin("ListAuditEntries")).entries} == {tenant}
    assert len({entry.tenant for entry in (await operator("ListAuditEntries", limit=1000)).entries}) > 1


async def test_no_entry_holds_a_secret(operator: Any, admin: Any) -> None:
    made = await admin("CreateKey", role=1)
    assert made.secret.rsplit("_", 1)[-1] not in str((await operator("ListAuditEntries", limit=1000)).entries)


async def test_usage_is_by_day_tenant_and_cascade(operator: Any, admin: Any, tenant: str) -> None:
    rows = [
        Usage(tenant, "search", "2026-01-31", requests=3, degraded=1, tokens=700, cost=0.25),
        Usage(tenant, "other", "2026-02-01", requests=1),
        Usage("somebody", "search", "2026-02-01", requests=9),
    ]
    another_server = Store(operator._running.server.settings.store_at)
    another_server.add_usage(rows)
    another_server.close()
    mine = (await admin("GetUsage")).usage
    assert [(u.day, u.cascade, u.requests, u.degraded, u.tokens) for u in mine] == [
        ("2026-01-31", "search", 3, 1, 700),
        ("2026-02-01", "other", 1, 0, 0),
    ]
    assert [u.HasField("cost") for u in mine] == [True, False]
    assert [u.cascade for u in (await admin("GetUsage", since="2026-02-01", until="2026-02-01")).usage] == ["other"]
    assert {"somebody", tenant} <= {u.tenant for u in (await operator("GetUsage")).usage}
    assert {u.tenant for u in (await operator("GetUsage", tenant=tenant)).usage} == {tenant}


async def test_more_usage_than_an_answer_holds_is_asked_for_in_parts(
    operator: Any, admin: Any, tenant: str, refused: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    another_server = Store(operator._running.server.settings.store_at)
    another_server.add_usage([Usage(tenant, "search", f"2026-01-0{day}", requests=1) for day in (1, 2, 3)])
    another_server.close()
    monkeypatch.setattr("cascade_server.servicers.admin.records.MAX_ROWS", 2)
    refusal = await refused(admin("GetUsage"))
    assert refusal.code is grpc.StatusCode.INVALID_ARGUMENT
    assert "fewer days" in refusal.violations["since"]
    assert len((await admin("GetUsage", since="2026-01-02")).usage) == 2
