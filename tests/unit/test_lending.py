"""What is shared is idle only when nobody holds it."""

from __future__ import annotations

from cascade.lending import Lending
from cascade.testing import FakeClock


class Borrower:
    """Anything that lives and goes away."""


def test_a_thing_is_idle_once_its_last_borrower_is_gone() -> None:
    clock = FakeClock()
    lending: Lending[str] = Lending(clock)
    first, second = Borrower(), Borrower()
    lending.lend(["model"], first)
    lending.lend(["model", "other"], second)
    del first
    assert lending.idle(0.0) == []
    del second
    assert sorted(lending.idle(0.0)) == ["model", "other"]


def test_a_thing_is_idle_only_after_the_time_asked_for() -> None:
    clock = FakeClock()
    lending: Lending[str] = Lending(clock)
    lending.lend(["model"], borrower := Borrower())
    del borrower
    assert lending.idle(5.0) == []
    clock.advance(5.0)
    assert lending.idle(5.0) == ["model"]


def test_whoever_asks_without_borrowing_starts_the_time_again() -> None:
    clock = FakeClock()
    lending: Lending[str] = Lending(clock)
    lending.touch("model")
    clock.advance(4.0)
    lending.touch("model")
    clock.advance(4.0)
    assert lending.idle(5.0) == []
    assert lending.idle(4.0) == ["model"]


def test_asking_for_what_is_lent_does_not_make_it_idle() -> None:
    lending: Lending[str] = Lending(FakeClock())
    lending.lend(["model"], borrower := Borrower())
    lending.touch("model")
    assert lending.idle(0.0) == []
    assert lending.taken(borrower) == ("model",)


def test_what_is_forgotten_is_not_idle_and_may_come_again() -> None:
    lending: Lending[str] = Lending(FakeClock())
    lending.touch("model")
    lending.forget("model")
    assert lending.idle(0.0) == []
    lending.touch("model")
    assert lending.idle(0.0) == ["model"]
