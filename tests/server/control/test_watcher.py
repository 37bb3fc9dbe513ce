"""A process follows what others change."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from cascade_server.control.state import Quota, Role, State
from cascade_server.control.store import Store
from cascade_server.control.watcher import Watcher

WORDS = "retrieve: [{kind: bm25}]"


class Follower:
    """Keeps the states that it was given; while `held` it is slow, and with a `problem` it fails."""

    def __init__(self) -> None:
        self.states: asyncio.Queue[State] = asyncio.Queue()
        self.held = asyncio.Event()
        self.held.set()
        self.problem: Exception | None = None

    async def __call__(self, state: State) -> None:
        """Take a new state."""
        self.states.put_nowait(state)
        await self.held.wait()
        if self.problem is not None:
            raise self.problem


async def test_a_change_of_another_process_is_handed_over(open_store: Callable[[], Store]) -> None:
    here, elsewhere, follower = open_store(), open_store(), Follower()
    watcher = Watcher(here, 0.01, follower)
    watcher.start(here.state())
    for depth in (1, 2):
        elsewhere.put_version("ann", "default", "a", f"retrieve: [{{kind: bm25, depth: {depth}}}]")
        elsewhere.activate("ann", "default", "a", depth)
        state = await follower.states.get()
        while ("default", "a", depth) not in state.configs:
            state = await follower.states.get()
    await watcher.aclose()
    assert watcher.problem is None


async def test_what_is_in_force_already_is_not_handed_over_again(store: Store) -> None:
    follower = Follower()
    watcher = Watcher(store, 60, follower)
    watcher.start(store.state())
    await watcher.follow()
    await watcher.follow()
    await watcher.aclose()
    assert follower.states.empty()


async def test_following_returns_once_a_change_is_in_force(store: Store) -> None:
    follower = Follower()
    watcher = Watcher(store, 60, follower)
    watcher.start(store.state())
    await asyncio.to_thread(store.create_tenant, "ann", "shop", Quota())
    follower.held.clear()
    following = asyncio.create_task(watcher.follow())
    assert "shop" in (await follower.states.get()).tenants
    assert not following.done()
    follower.held.set()
    await following
    await watcher.aclose()


async def test_a_revoked_key_is_known_while_an_earlier_state_is_still_being_followed(store: Store) -> None:
    key, _ = store.create_key("ann", "default", Role.READER)
    follower = Follower()
    watcher = Watcher(store, 60, follower)
    watcher.start(store.state())
    follower.held.clear()
    store.put_version("ann", "default", "a", WORDS)
    following = asyncio.create_task(watcher.follow())
    await follower.states.get()
    assert key.key_id in watcher.state.keys
    store.revoke_key("ann", key.key_id, None)
    await watcher.poll()
    assert watcher.state.keys == {}
    follower.held.set()
    await following
    assert (await follower.states.get()).keys == {}
    await watcher.aclose()


async def test_of_several_changes_at_once_the_last_is_followed(store: Store) -> None:
    follower = Follower()
    watcher = Watcher(store, 60, follower)
    watcher.start(store.state())
    for number in range(5):
        store.create_tenant("ann", f"t{number}", Quota())
    await watcher.follow()
    await watcher.aclose()
    assert follower.states.get_nowait().revision == 6
    assert follower.states.empty()


async def test_an_outage_changes_nothing_and_what_happened_before_its_end_is_followed(store: Store, place: Any) -> None:
    follower = Follower()
    watcher = Watcher(store, 60, follower)
    before = store.state()
    watcher.start(before)
    store.create_tenant("ann", "shop", Quota())
    store.close()
    with place.outage():
        await watcher.follow()
        assert watcher.problem is not None
        assert "StoreError" in watcher.problem
        assert (watcher.state, follower.states.empty()) == (before, True)
    await watcher.follow()
    assert watcher.problem is None
    assert "shop" in follower.states.get_nowait().tenants
    await watcher.aclose()


async def test_the_watch_goes_on_after_an_outage(store: Store, place: Any) -> None:
    follower = Follower()
    watcher = Watcher(store, 0.01, follower)
    before = store.state()
    store.close()
    with place.outage():
        watcher.start(before)
        await watcher.poll()
    await asyncio.to_thread(store.create_tenant, "ann", "shop", Quota())
    assert "shop" in (await follower.states.get()).tenants
    await watcher.aclose()


async def test_a_state_that_could_not_be_followed_is_tried_again(store: Store) -> None:
    follower = Follower()
    follower.problem = RuntimeError("a bug")
    watcher = Watcher(store, 0.01, follower)
    watcher.start(store.state())
    store.create_tenant("ann", "shop", Quota())
    await follower.states.get()
    await follower.states.get()
    assert watcher.problem == "RuntimeError: a bug"
    follower.problem = None
    await follower.states.get()
    await watcher.follow()
    assert watcher.problem is None
    await watcher.aclose()
