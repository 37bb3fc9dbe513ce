"""Tenants in the store."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from cascade.budget import Priority
from cascade.errors import AlreadyExistsError, InvalidInputError, NotFoundError
from cascade_server.control.state import Quota, Role, Usage
from cascade_server.control.store import Store
from cascade_server.errors import ConflictError

WORDS = "retrieve: [{kind: bm25}]"
ALL = Quota(
    tokens_per_second=1000.5,
    burst_tokens=2**40,
    max_concurrent_requests=3,
    max_depth=100,
    max_documents=50,
    max_request_tokens=100_000,
    priority=Priority.HIGH,
    weight=2.5,
)


def test_a_new_store_has_the_default_tenant_without_limits(store: Store) -> None:
    (default,) = store.tenants()
    assert (default.name, default.quota, default.rollouts) == ("default", Quota(), {})


def test_a_tenant_comes_back_with_its_whole_quota(store: Store) -> None:
    made = store.create_tenant("ann", "shop", ALL)
    assert made == store.tenants()[1] == store.state().tenants["shop"]
    assert made.quota == ALL


def test_a_quota_is_replaced_as_a_whole(store: Store) -> None:
    store.create_tenant("ann", "shop", ALL)
    less = Quota(max_depth=10)
    assert store.set_quota("ann", "shop", less).quota == less
    assert store.state().tenants["shop"].quota == less


def test_the_same_quota_again_is_no_change(store: Store) -> None:
    store.create_tenant("ann", "shop", ALL)
    before = store.revision()
    store.set_quota("ann", "shop", ALL)
    assert store.revision() == before


def test_a_name_is_given_once(store: Store) -> None:
    store.create_tenant("ann", "shop", Quota())
    with pytest.raises(AlreadyExistsError, match="shop"):
        store.create_tenant("ann", "shop", ALL)
    assert store.state().tenants["shop"].quota == Quota()


def test_a_name_is_never_a_path(store: Store) -> None:
    attempts: list[Callable[[str], object]] = [
        lambda name: store.create_tenant("ann", name, Quota()),
        lambda name: store.set_quota("ann", name, Quota()),
        lambda name: store.put_version("ann", "default", name, WORDS),
        lambda name: store.put_version("ann", name, "words", WORDS),
        lambda name: store.delete_tenant("ann", name),
        lambda name: store.create_key("ann", name, Role.READER),
    ]
    for name in ("", "../x", "a/b", "..", ".", "A", "a b", "a\n", "a\0", "-a", "a" * 64, "é", "a%2f"):
        for attempt in attempts:
            with pytest.raises(InvalidInputError):
                attempt(name)
    assert store.revision() == 1


def test_a_quota_that_sets_no_limit_that_can_be_kept_is_refused(store: Store) -> None:
    wrong: list[dict[str, Any]] = [
        *({"tokens_per_second": rate} for rate in (0.0, float("nan"), float("inf"))),
        *({name: 0} for name in ("burst_tokens", "max_concurrent_requests", "max_documents")),
        {"max_request_tokens": 2**64 - 1},
        {"max_depth": -1},
        *({"weight": weight} for weight in (0.0, float("nan"), 1e9)),
        {"priority": Priority.SHADOW},
    ]
    for values in wrong:
        with pytest.raises(InvalidInputError, match=f"quota.{next(iter(values))}"):
            store.create_tenant("ann", "shop", replace(ALL, **values))


def test_a_burst_needs_a_rate(store: Store) -> None:
    with pytest.raises(InvalidInputError, match="tokens_per_second"):
        store.create_tenant("ann", "shop", Quota(burst_tokens=5))


def test_an_unknown_tenant_is_not_found_and_others_are_not_named(store: Store) -> None:
    for attempt in (
        lambda: store.set_quota("ann", "shop", Quota()),
        lambda: store.put_version("ann", "shop", "words", WORDS),
        lambda: store.create_key("ann", "shop", Role.READER),
        lambda: store.versions("shop"),
        lambda: store.rollouts("shop"),
        lambda: store.delete_tenant("ann", "shop"),
    ):
        with pytest.raises(NotFoundError) as caught:
            attempt()
        assert "default" not in str(caught.value)


def test_a_deleted_tenant_takes_its_cascades_and_access_and_leaves_its_history(store: Store) -> None:
    store.create_tenant("ann", "shop", ALL)
    store.put_version("ann", "shop", "words", WORDS)
    store.activate("ann", "shop", "words", 1)
    key, _ = store.create_key("ann", "shop", Role.READER)
    store.add_usage([Usage("shop", "words", "2026-01-31", requests=1)])
    store.delete_tenant("ann", "shop")
    state = store.state()
    assert ("shop" in state.tenants, state.configs, state.keys) == (False, {}, {})
    assert store.keys("shop")[0].revoked_at is not None
    assert store.audit("shop")[0].action == "delete_tenant"
    assert json.loads(store.audit("shop")[0].before)["revoked_keys"] == [key.key_id]
    assert store.usage("shop")[0].requests == 1


def test_a_tenant_of_a_deleted_ones_name_starts_anew(store: Store) -> None:
    store.create_tenant("ann", "shop", ALL)
    store.put_version("ann", "shop", "words", WORDS)
    store.create_key("ann", "shop", Role.READER)
    store.delete_tenant("ann", "shop")
    store.create_tenant("ann", "shop", Quota())
    assert store.versions("shop") == []
    assert store.state().keys == {}
    assert store.put_version("ann", "shop", "words", WORDS)[0].number == 1


def test_the_default_tenant_stays(store: Store) -> None:
    with pytest.raises(ConflictError, match="always there"):
        store.delete_tenant("ann", "default")
