"""Who changed what, and what was used."""

from __future__ import annotations

import json
from typing import Any

import pytest

from cascade.errors import CascadeError, InvalidInputError
from cascade_server.control.state import AuditEntry, Quota, Role, Usage
from cascade_server.control.store import Store

WORDS = "retrieve: [{kind: bm25}]"


def test_every_change_is_entered_once_and_is_a_revision(store: Store) -> None:
    store.create_tenant("ann", "shop", Quota())
    store.set_quota("ann", "shop", Quota(max_depth=5))
    store.put_version("ann", "shop", "words", WORDS)
    store.put_version("ann", "shop", "words", "description: more\n" + WORDS)
    store.activate("ann", "shop", "words", 1)
    store.set_canary("ann", "shop", "words", 2, 10)
    store.set_shadow("ann", "shop", "words", 2, 10)
    store.activate("ann", "shop", "words", 2)
    store.roll_back("ann", "shop", "words")
    store.deactivate("ann", "shop", "words")
    key, _ = store.create_key("ann", "shop", Role.READER)
    store.revoke_key("ann", key.key_id, "shop")
    store.delete_tenant("ann", "shop")
    entries = list(reversed(store.audit("shop")))
    assert [entry.action for entry in entries] == [
        *("create_tenant", "set_quota", "put_cascade", "put_cascade", "activate_cascade", "set_canary", "set_shadow"),
        *("activate_cascade", "roll_back_cascade", "deactivate_cascade", "create_key", "revoke_key", "delete_tenant"),
    ]
    assert [entry.number for entry in entries] == list(range(2, 15))
    assert store.revision() == store.state().revision == 14
    assert {entry.subject for entry in entries} == {"shop", "words", key.key_id}


def test_an_entry_says_who_when_and_how_it_was_before_and_is_now(store: Store, clock: Any) -> None:
    store.create_tenant("ann", "shop", Quota(max_depth=5))
    clock.advance(60)
    store.set_quota("bob", "shop", Quota(max_depth=7))
    entry = store.audit("shop", 1)[0]
    assert entry == AuditEntry(3, clock.now, "bob", "set_quota", "shop", "shop", entry.before, entry.after)
    assert (json.loads(entry.before)["max_depth"], json.loads(entry.after)["max_depth"]) == (5, 7)


def test_what_is_refused_is_not_entered(store: Store) -> None:
    attempts = (
        lambda: store.create_tenant("ann", "default", Quota()),
        lambda: store.activate("ann", "default", "words", 1),
        lambda: store.put_version("ann", "default", "words", "retrieve: []"),
    )
    for attempt in attempts:
        with pytest.raises(CascadeError):
            attempt()
    assert [entry.actor for entry in store.audit(None)] == ["migration"]


def test_entries_are_read_page_by_page_from_the_newest(store: Store) -> None:
    for number in range(5):
        store.create_tenant("ann", f"t{number}", Quota())
    pages = [store.audit(None, 2), store.audit(None, 2, before=5), store.audit(None, 2, before=3)]
    assert [[entry.number for entry in page] for page in pages] == [[6, 5], [4, 3], [2, 1]]
    assert len(store.audit(None, 0)) == 1
    assert len(store.audit(None, 10**9, before=2**64 - 1)) == 6


def test_a_tenant_sees_its_own_entries_alone(store: Store) -> None:
    store.create_tenant("ann", "shop", Quota())
    store.create_key("ann", None, Role.ADMIN)
    assert [entry.tenant for entry in store.audit("shop")] == ["shop"]
    assert [entry.tenant for entry in store.audit(None)] == ["", "shop", "default"]


def test_whoever_a_token_says_it_is_the_change_is_entered(store: Store) -> None:
    for number, actor in enumerate(("a\0b", "\ud800", "é" * 1000, "a\nb", "'); DROP TABLE audit; --")):
        store.create_tenant(actor, f"t{number}", Quota())
        entered = store.audit(None)[0].actor
        assert len(entered) == min(len(actor), 200)
        assert "\0" not in entered


def test_usage_adds_up(store: Store) -> None:
    store.add_usage([Usage("shop", "a", "2026-01-01", requests=2, degraded=1, tokens=10)])
    store.add_usage([Usage("shop", "a", "2026-01-01", 1, 0, 5, 0.25), Usage("shop", "b", "2026-01-01", 1, 0, 2**40)])
    store.add_usage([Usage("shop", "a", "2026-01-01", 1, 0, 5, 0.5), Usage("shop", "a", "2026-01-01", 1)])
    assert store.usage("shop") == [
        Usage("shop", "a", "2026-01-01", requests=5, degraded=1, tokens=20, cost=0.75),
        Usage("shop", "b", "2026-01-01", requests=1, tokens=2**40),
    ]


def test_usage_is_no_change_of_the_state(store: Store) -> None:
    store.add_usage([Usage("shop", "a", "2026-01-01", requests=1)])
    assert (store.revision(), len(store.audit(None))) == (1, 1)


def test_usage_is_read_by_tenant_and_between_two_days(store: Store) -> None:
    days = ["2025-12-31", "2026-01-01", "2026-01-02"]
    store.add_usage([Usage(tenant, "a", day, requests=1) for tenant in ("two", "one") for day in days])
    assert [(row.day, row.tenant) for row in store.usage(None)] == [(day, t) for day in days for t in ("one", "two")]
    assert [row.day for row in store.usage("one", since=days[1])] == days[1:]
    assert [row.day for row in store.usage("one", until=days[1])] == days[:2]
    assert [row.day for row in store.usage("one", days[1], days[1])] == [days[1]]


def test_a_day_is_a_date(store: Store) -> None:
    for day in ("2026-1-1", "20260101", "yesterday", "2026-02-30", "2026-01-01\0", "' OR 1=1"):
        with pytest.raises(InvalidInputError, match="since"):
            store.usage(None, since=day)
        with pytest.raises(InvalidInputError, match="until"):
            store.usage(None, until=day)


def test_nobodys_name_is_looked_for_by_a_path(store: Store) -> None:
    for attempt in (store.keys, store.audit, store.usage):
        with pytest.raises(InvalidInputError, match="tenant"):
            attempt("../default")
