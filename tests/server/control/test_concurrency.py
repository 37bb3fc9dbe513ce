"""Many who change the store at once, and one who falls over in the middle."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, Event, Thread
from typing import Any

import pytest

from cascade.errors import AlreadyExistsError
from cascade_server.control.database import Database
from cascade_server.control.state import Quota, State, Usage
from cascade_server.control.store import Store
from cascade_server.errors import StoreError

EACH = 8


def words(depth: int) -> str:
    """A cascade that differs by its depth."""
    return f"retrieve: [{{kind: bm25, depth: {depth}}}]"


def at_once(*work: Callable[[], Any]) -> list[Any]:
    """What each returns, all begun at the same time in threads of their own."""
    together = Barrier(len(work))

    def begin(one: Callable[[], Any]) -> Any:
        together.wait()
        return one()

    with ThreadPoolExecutor(len(work)) as pool:
        return [future.result() for future in [pool.submit(begin, one) for one in work]]


def test_concurrent_puts_are_numbered_without_gaps_or_doubles(open_store: Callable[[], Store]) -> None:
    stores = [open_store(), open_store()]

    def put(store: Store, first: int) -> list[int]:
        return [store.put_version("ann", "default", "a", words(first + i))[0].number for i in range(EACH)]

    numbers = at_once(*(lambda s=s, n=n: put(s, n) for n, s in enumerate(stores * 2, 1) for n in [n * 100]))
    assert sorted(number for told in numbers for number in told) == list(range(1, 4 * EACH + 1))
    kept = stores[0].versions("default", "a")
    assert [version.number for version in kept] == list(range(4 * EACH, 0, -1))
    assert len({version.config_hash for version in kept}) == 4 * EACH
    assert stores[1].revision() == 1 + 4 * EACH


def test_one_of_several_makes_the_tenant_and_the_others_are_told(open_store: Callable[[], Store]) -> None:
    def make(store: Store) -> bool:
        try:
            store.create_tenant("ann", "shop", Quota())
        except AlreadyExistsError:
            return False
        return True

    stores = [open_store() for _ in range(4)]
    assert sorted(at_once(*(lambda s=s: make(s) for s in stores))) == [False, False, False, True]


def test_nothing_that_servers_add_is_lost(open_store: Callable[[], Store]) -> None:
    stores = [open_store(), open_store()]
    one = Usage("shop", "a", "2026-01-01", requests=1, tokens=3)
    other = Usage("shop", "b", "2026-01-01", requests=1, tokens=3)

    def add(store: Store, rows: list[Usage]) -> None:
        for _ in range(EACH):
            store.add_usage(rows)

    at_once(*(lambda s=s, r=r: add(s, r) for s in stores for r in ([one, other], [other, one])))
    assert [(row.requests, row.tokens) for row in stores[0].usage("shop")] == [(4 * EACH, 12 * EACH)] * 2


def test_a_reader_sees_each_change_whole_and_in_its_order(open_store: Callable[[], Store]) -> None:
    writer, reader = open_store(), open_store()
    for depth in (1, 2):
        writer.put_version("ann", "default", "a", words(depth))
    done = Event()
    seen: list[State] = []

    def read() -> None:
        while not done.is_set():
            seen.append(reader.state())

    reading = Thread(target=read)
    reading.start()
    try:
        for number in (1, 2) * 10:
            writer.activate("ann", "default", "a", number)
    finally:
        done.set()
        reading.join()
    seen.append(reader.state())
    revisions = [state.revision for state in seen]
    assert revisions == sorted(revisions)
    assert revisions[-1] == 3 + 20
    for state in seen:
        rollouts = state.tenants["default"].rollouts.values()
        named = {number for r in rollouts for number in (r.active, r.previous) if number is not None}
        assert {number for _, _, number in state.configs} == named
        if state.revision > 3:
            assert [rollout.active for rollout in rollouts] == [1 if state.revision % 2 == 0 else 2]


_FALLS_OVER = """
import os, sys
from cascade_server.control import rollouts, versions
from cascade_server.control.database import Database
from cascade_server.control.versions import read

with Database(sys.argv[1]).change("ann") as change:
    text = "retrieve: [{kind: bm25, depth: 2}]"
    versions.put(change, "default", "a", text, read("default", "a", text))
    rollouts.activate(change, "default", "a", 2)
    print("written", flush=True)
    sys.stdin.read()
"""


def test_a_process_that_is_killed_in_the_middle_of_a_change_leaves_the_last_good_state(
    store: Store, place: Any
) -> None:
    store.put_version("ann", "default", "a", words(1))
    store.activate("ann", "default", "a", 1)
    before, entries = store.state(), store.audit(None)
    command = [sys.executable, "-c", _FALLS_OVER, place.url]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=dict(os.environ)) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"written\n"
        assert store.state() == before
        process.send_signal(signal.SIGKILL)
    assert (store.state(), store.audit(None)) == (before, entries)
    assert store.put_version("ann", "default", "a", words(3))[0].number == 2


def test_an_error_in_the_middle_of_a_change_undoes_all_of_it(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    before = store.state()
    monkeypatch.setattr("cascade_server.control.change._json", lambda _value: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        store.create_tenant("ann", "shop", Quota())
    monkeypatch.undo()
    assert store.state() == before
    assert store.create_tenant("ann", "shop", Quota()).name == "shop"
    assert store.revision() == 2


def test_a_process_that_hangs_in_the_middle_of_a_change_is_no_reason_to_wait_for_ever(store: Store, place: Any) -> None:
    impatient = Store(place.url, wait=0.05)
    database = Database(place.url)
    with database.change("ann"):
        with pytest.raises(StoreError, match="lock"):
            impatient.create_tenant("bob", "shop", Quota())
        assert impatient.revision() == 1
    assert impatient.create_tenant("bob", "shop", Quota()).name == "shop"
    impatient.close()
    database.close()
