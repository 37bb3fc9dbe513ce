"""Which versions answer."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from cascade.errors import InvalidInputError, NotFoundError
from cascade_server.control.state import Rollout
from cascade_server.control.store import Store
from cascade_server.errors import ConflictError

SHOP = ("default", "shop")


@pytest.fixture
def store(store: Store) -> Store:
    """A store with three versions of a cascade that serves nobody."""
    for depth in (10, 20, 30):
        store.put_version("ann", *SHOP, f"retrieve: [{{kind: bm25, depth: {depth}}}]")
    return store


def test_a_version_serves_nobody_until_it_is_active(store: Store) -> None:
    assert store.state().configs == {}
    assert store.activate("ann", *SHOP, 1) == Rollout("shop", 1)
    assert list(store.state().configs) == [("default", "shop", 1)]


def test_the_state_has_the_versions_that_run_and_the_one_to_fall_back_on(store: Store) -> None:
    store.activate("ann", *SHOP, 1)
    store.activate("ann", *SHOP, 2)
    store.set_shadow("ann", *SHOP, 3, 5)
    state = store.state()
    assert {place: config.retrieve[0].depth for place, config in state.configs.items()} == {
        ("default", "shop", 1): 10,
        ("default", "shop", 2): 20,
        ("default", "shop", 3): 30,
    }
    assert state.tenants["default"].rollouts == store.rollouts("default") == store.tenants()[0].rollouts


def test_a_roll_back_brings_the_version_before_and_ends_the_canary(store: Store) -> None:
    store.activate("ann", *SHOP, 1)
    store.activate("ann", *SHOP, 2)
    store.set_canary("ann", *SHOP, 3, 10)
    assert store.roll_back("ann", *SHOP) == Rollout("shop", 1)


def test_a_second_roll_back_does_not_undo_the_first(store: Store) -> None:
    store.activate("ann", *SHOP, 1)
    store.activate("ann", *SHOP, 2)
    store.roll_back("ann", *SHOP)
    with pytest.raises(ConflictError, match="activate one by its number"):
        store.roll_back("bob", *SHOP)
    assert store.rollouts("default")["shop"].active == 1


def test_a_promoted_canary_is_no_canary_any_more(store: Store) -> None:
    store.activate("ann", *SHOP, 1)
    assert store.set_canary("ann", *SHOP, 2, 10) == Rollout("shop", 1, canary=2, canary_percent=10.0)
    store.set_shadow("ann", *SHOP, 3, 50)
    promoted = Rollout("shop", 2, previous=1, shadow=3, shadow_percent=50.0)
    assert store.activate("ann", *SHOP, 2) == promoted


def test_a_promoted_shadow_is_no_shadow_any_more(store: Store) -> None:
    store.activate("ann", *SHOP, 1)
    store.set_canary("ann", *SHOP, 2, 10)
    store.set_shadow("ann", *SHOP, 3, 50)
    assert store.activate("ann", *SHOP, 3) == Rollout("shop", 3, previous=1, canary=2, canary_percent=10.0)


def test_a_share_is_changed_and_ended(store: Store) -> None:
    store.activate("ann", *SHOP, 1)
    store.set_canary("ann", *SHOP, 2, 10)
    assert store.set_canary("ann", *SHOP, 2, 30).canary_percent == 30.0
    assert store.set_canary("ann", *SHOP, None, 30) == Rollout("shop", 1)


def test_what_is_so_already_is_no_change(store: Store) -> None:
    store.activate("ann", *SHOP, 1)
    store.set_canary("ann", *SHOP, 2, 10)
    before = store.revision()
    store.activate("ann", *SHOP, 1)
    store.set_canary("ann", *SHOP, 2, 10)
    store.set_shadow("ann", *SHOP, None, 0)
    assert store.revision() == before


def test_the_active_version_is_not_its_own_canary(store: Store) -> None:
    store.activate("ann", *SHOP, 1)
    for change in (store.set_canary, store.set_shadow):
        with pytest.raises(ConflictError, match="active already"):
            change("ann", *SHOP, 1, 10)


def test_without_an_active_version_there_is_nothing_to_split_roll_back_or_stop(store: Store) -> None:
    attempts: list[Callable[[], object]] = [
        lambda: store.set_canary("ann", *SHOP, 2, 10),
        lambda: store.set_shadow("ann", *SHOP, 2, 10),
        lambda: store.roll_back("ann", *SHOP),
        lambda: store.deactivate("ann", *SHOP),
    ]
    for attempt in attempts:
        with pytest.raises(ConflictError, match="activate one first"):
            attempt()


def test_a_deactivated_cascade_keeps_its_versions(store: Store) -> None:
    store.activate("ann", *SHOP, 1)
    store.deactivate("ann", *SHOP)
    assert (store.rollouts("default"), store.state().configs) == ({}, {})
    assert len(store.versions(*SHOP)) == 3


def test_only_a_version_that_is_there_comes_into_force(store: Store) -> None:
    store.activate("ann", *SHOP, 1)
    attempts: list[Callable[[int], object]] = [
        lambda number: store.activate("ann", *SHOP, number),
        lambda number: store.set_canary("ann", *SHOP, number, 10),
        lambda number: store.set_shadow("ann", *SHOP, number, 10),
    ]
    for number in (0, -1, 4, 2**64 - 1):
        for attempt in attempts:
            with pytest.raises(NotFoundError, match="version"):
                attempt(number)
    assert store.rollouts("default")["shop"] == Rollout("shop", 1)


def test_a_share_is_a_percentage(store: Store) -> None:
    store.activate("ann", *SHOP, 1)
    for percent in (-0.1, 100.1, float("nan"), float("inf")):
        with pytest.raises(InvalidInputError, match="percent"):
            store.set_canary("ann", *SHOP, 2, percent)
