"""All that take part have their turns in the same rounds, and a ratio compares those of one round."""

from collections.abc import Callable

import pytest

from cascade.bench.measure import LEAST_SECONDS, Contender, Goal, interleave


class Clock:
    """Seconds that pass when work is done, and at no other time; it remembers who did it."""

    def __init__(self) -> None:
        self.now = 0.0
        self.log: list[str] = []

    def __call__(self) -> float:
        return self.now

    def pause(self, seconds: float) -> None:
        self.log.append("pause")

    def work(self, name: str, seconds: float | Callable[[], float]) -> Callable[[], None]:
        def run() -> None:
            self.now += seconds() if callable(seconds) else seconds
            self.log.append(name)

        return run

    @property
    def turns(self) -> list[str]:
        return [name for name in self.log if name != "pause"]


def silent(line: str) -> None:
    """Nobody reads what a bench tells."""


def test_order_is_turned_every_round_after_a_warm_up_of_each() -> None:
    clock = Clock()
    ours, peer = Contender("ours", "1", clock.work("a", 1)), Contender("peer", "2", clock.work("b", 1))
    interleave(ours, [peer], units=1, unit="x/s", rounds=3, tell=silent, clock=clock, pause=clock.pause)
    assert clock.turns == ["a", "b", *"ab", *"ba", *"ab"]


def test_speeds_are_units_a_second_and_a_ratio_is_ours_over_the_peers() -> None:
    clock = Clock()
    ours, peer = Contender("ours", "1", clock.work("a", 0.5)), Contender("peer", "2", clock.work("b", 2))
    found = interleave(ours, [peer], units=10, unit="x/s", rounds=4, tell=silent, clock=clock, pause=clock.pause)
    assert found.ours.rounds == pytest.approx((20, 20, 20, 20))
    (against,) = found.peers
    assert (against.speed.name, against.speed.version, against.ours) == ("peer", "2", "ours")
    assert against.speed.median == pytest.approx(5)
    assert (against.ratio.value, against.ratio.low, against.ratio.high) == pytest.approx((4, 4, 4))


def test_a_machine_that_slows_down_changes_no_ratio() -> None:
    clock = Clock()
    rounds = [0]
    begins = [lambda: rounds.__setitem__(0, rounds[0] + 1)]
    ours = Contender("ours", "1", clock.work("a", lambda: 1.0 * rounds[0]))
    peer = Contender("peer", "2", clock.work("b", lambda: 3.0 * rounds[0]))
    found = interleave(
        ours, [peer], units=1, unit="x/s", rounds=4, cases=begins, tell=silent, clock=clock, pause=clock.pause
    )
    assert found.ours.spread[1] > 1.5 * found.ours.spread[0]
    assert found.peers[0].ratio.rounds == pytest.approx((3, 3, 3, 3))


def test_a_short_run_is_repeated_until_it_can_be_timed() -> None:
    clock = Clock()
    ours = Contender("ours", "1", clock.work("a", LEAST_SECONDS / 7.5))
    found = interleave(ours, [], units=1, unit="x/s", rounds=1, tell=silent, clock=clock, pause=clock.pause)
    assert clock.turns.count("a") == 1 + 8
    assert found.ours.median == pytest.approx(7.5 / LEAST_SECONDS)


def test_other_ways_of_ours_are_compared_with_every_peer_too() -> None:
    clock = Clock()
    ours, other = Contender("ours", "1", clock.work("a", 1)), Contender("other", "1", clock.work("c", 2))
    peers = [Contender(name, "2", clock.work(name, 4), goal=Goal(1, 3)) for name in ("p", "q")]
    found = interleave(
        ours, peers, also=[other], units=1, unit="x/s", rounds=2, tell=silent, clock=clock, pause=clock.pause
    )
    each = {(one.ours, one.speed.name): (one.ratio.value, one.met) for one in found.peers}
    assert each == {
        ("ours", "p"): (4, "aim"),
        ("ours", "q"): (4, "aim"),
        ("other", "p"): (2, "floor"),
        ("other", "q"): (2, "floor"),
    }
    assert [speed.name for speed in found.also] == ["other"]


def test_rounds_go_through_the_cases_and_all_do_the_same_one() -> None:
    clock, case = Clock(), [0]
    cases = [lambda: case.__setitem__(0, 0), lambda: case.__setitem__(0, 1)]

    def run(name: str) -> Contender:
        def work() -> None:
            clock.work(f"{name}{case[0]}", 1)()

        return Contender(name, "1", work)

    interleave(
        run("a"), [run("b")], units=1, unit="x/s", rounds=3, cases=cases, tell=silent, clock=clock, pause=clock.pause
    )
    assert clock.turns == ["a0", "a1", "b0", "b1", "a0", "b0", "b1", "a1", "a0", "b0"]


def test_a_peer_that_cannot_run_is_left_out_with_the_reason() -> None:
    clock = Clock()

    def fails() -> None:
        raise RuntimeError("no such operator\nand a page of stack")

    ours, good = Contender("ours", "1", clock.work("a", 1)), Contender("good", "2", clock.work("b", 1))
    found = interleave(
        ours,
        [Contender("bad", "3", fails), good],
        units=1,
        unit="x/s",
        rounds=2,
        tell=silent,
        clock=clock,
        pause=clock.pause,
    )
    assert [one.speed.name for one in found.peers] == ["good"]
    assert found.notes == ("bad 3 failed and is left out: RuntimeError: no such operator",)


def test_ours_that_cannot_run_is_no_result() -> None:
    def fails() -> None:
        raise RuntimeError("broken")

    with pytest.raises(RuntimeError, match="broken"):
        interleave(Contender("ours", "1", fails), [], units=1, unit="x/s", rounds=2, tell=silent)


def test_when_time_is_up_the_rest_of_the_rounds_are_not_run_and_that_is_said() -> None:
    clock = Clock()
    ours = Contender("ours", "1", clock.work("a", 10))
    found = interleave(ours, [], units=1, unit="x/s", rounds=7, seconds=35, tell=silent, clock=clock, pause=clock.pause)
    assert len(found.ours.rounds) == 4
    assert found.notes == ("ours: 4 of 7 rounds were run, for want of time",)


def test_three_rounds_are_run_in_any_case() -> None:
    clock = Clock()
    ours = Contender("ours", "1", clock.work("a", 10))
    found = interleave(ours, [], units=1, unit="x/s", rounds=7, seconds=1, tell=silent, clock=clock, pause=clock.pause)
    assert len(found.ours.rounds) == 3


def test_a_goal_is_met_from_its_bounds_on() -> None:
    goal = Goal(floor=4, aim=8)
    assert [goal.met(reached) for reached in (3.99, 4, 7.99, 8)] == ["neither", "floor", "floor", "aim"]
