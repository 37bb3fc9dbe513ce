"""What is in force, as one value."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlalchemy import create_engine, text

from cascade_server.control.state import Quota, Role
from cascade_server.control.store import Store

WORDS = "retrieve: [{kind: bm25}]"


def test_a_text_that_this_release_cannot_read_takes_no_other_down(store: Store, place: Any) -> None:
    store.create_tenant("ann", "shop", Quota())
    for tenant in ("default", "shop"):
        store.put_version("ann", tenant, "words", WORDS)
        store.activate("ann", tenant, "words", 1)
    engine = create_engine(place.url)
    with engine.begin() as connection:
        connection.execute(text("UPDATE versions SET text = 'retrieve: [{kind: magic}]' WHERE tenant = 'shop'"))
    engine.dispose()
    state = store.state()
    assert list(state.configs) == [("default", "words", 1)]
    assert list(state.unreadable) == [("shop", "words", 1)]
    assert "magic" in state.unreadable["shop", "words", 1]
    assert state.tenants["shop"].rollouts["words"].active == 1


def test_a_cascade_that_runs_on_is_read_once(store: Store) -> None:
    store.put_version("ann", "default", "words", WORDS)
    store.activate("ann", "default", "words", 1)
    before = store.state()
    store.create_tenant("ann", "shop", Quota())
    assert store.state().configs["default", "words", 1] is before.configs["default", "words", 1]


def test_two_processes_see_the_same(open_store: Callable[[], Store]) -> None:
    one, other = open_store(), open_store()
    one.put_version("ann", "default", "words", WORDS)
    other.activate("ann", "default", "words", 1)
    one.create_key("ann", None, Role.ADMIN)
    assert one.state() == other.state()
