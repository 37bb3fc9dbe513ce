"""What was admitted counts before it has come to the queue of its model."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from cascade.budget import Account, Priority
from cascade.inference.load import Backlog, QueueLoad
from cascade.models import ModelKey
from cascade_server.overload.ledger import Ledger

MODEL = ModelKey("cross_encoder", "m")
RED, BLUE = Account("red"), Account("blue")


def test_what_was_admitted_is_ahead_until_it_has_ended() -> None:
    ledger = Ledger()
    ledger.add(MODEL, RED, 300)
    ledger.add(MODEL, RED, 200)
    assert ledger.over(MODEL, QueueLoad()).ahead(RED) == 500
    ledger.add(MODEL, RED, -300)
    assert ledger.over(MODEL, QueueLoad()).ahead(RED) == 200
    ledger.add(MODEL, RED, -200)
    assert ledger.over(MODEL, QueueLoad()) == QueueLoad()


def test_what_waits_in_the_queue_is_not_counted_twice() -> None:
    ledger = Ledger()
    ledger.add(MODEL, RED, 300)
    inside = QueueLoad(100.0, backlogs=(Backlog(RED, 100),))
    assert ledger.over(MODEL, inside).ahead(RED) == 300
    more = QueueLoad(900.0, backlogs=(Backlog(RED, 900),))
    assert ledger.over(MODEL, more).ahead(RED) == 900


def test_another_model_is_not_concerned() -> None:
    ledger = Ledger()
    ledger.add(MODEL, RED, 300)
    assert ledger.over(ModelKey("cross_encoder", "n"), QueueLoad()).ahead(RED) == 0


def test_a_tenant_that_floods_is_hardly_ahead_of_another() -> None:
    ledger = Ledger()
    ledger.add(MODEL, RED, 100_000)
    load = ledger.over(MODEL, QueueLoad())
    assert load.ahead(BLUE, 100.0) == 100
    assert load.ahead(RED, 100.0) == 100_000


def test_work_of_lower_priority_is_not_ahead() -> None:
    ledger = Ledger()
    ledger.add(MODEL, Account("red", priority=Priority.LOW), 1000)
    assert ledger.over(MODEL, QueueLoad()).ahead(RED, 10.0) == 0


def test_in_a_queue_in_order_of_arrival_all_is_ahead() -> None:
    ledger = Ledger()
    ledger.add(MODEL, RED, 1000)
    assert ledger.over(MODEL, QueueLoad(fair=False)).ahead(BLUE, 10.0) == 1000


@given(st.lists(st.tuples(st.sampled_from(["red", "blue"]), st.integers(1, 1000)), max_size=30))
def test_when_all_has_ended_nothing_is_left(work: list[tuple[str, int]]) -> None:
    ledger = Ledger()
    for name, tokens in work:
        ledger.add(MODEL, Account(name), tokens)
    for name, tokens in reversed(work):
        ledger.add(MODEL, Account(name), -tokens)
    assert ledger.over(MODEL, QueueLoad()) == QueueLoad()
