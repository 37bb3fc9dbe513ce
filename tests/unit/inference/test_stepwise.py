"""Work that is done step by step can be run through at once, rows and all."""

from collections.abc import Sequence

import pytest

from cascade.inference.rows import Lane, Rows
from cascade.inference.stepwise import Stepwise, run_through


def test_steps_and_rows_are_run_in_turn_and_the_result_returned() -> None:
    batches: list[list[str]] = []

    def shout(rows: Sequence[str]) -> list[str]:
        batches.append(list(rows))
        return [row.upper() for row in rows]

    lane = Lane(shout, most_tokens=6)

    def work() -> Stepwise[list[str]]:
        yield 3
        asked = Rows(lane, ["a", "bbbb", "cc", "ddddddddd"], [1, 4, 2, 9])
        yield asked
        again = Rows(lane, asked.results[:1], [1])
        yield again
        yield Rows(lane, [], [])
        return [*asked.results, *again.results]

    assert run_through(work()) == ["A", "BBBB", "CC", "DDDDDDDDD", "A"]
    assert batches == [["ddddddddd"], ["bbbb", "cc"], ["a"], ["A"]]


def test_what_a_lane_raises_is_raised_where_the_rows_were_yielded() -> None:
    def broken(_: Sequence[int]) -> list[int]:
        raise ZeroDivisionError

    def work() -> Stepwise[str]:
        try:
            yield Rows(Lane(broken, most_tokens=6), [1], [1])
        except ZeroDivisionError:
            yield 1
            return "told"
        return "not told"

    assert run_through(work()) == "told"


def test_a_lane_has_one_result_for_every_row() -> None:
    lane = Lane[int, int](lambda rows: rows[1:], most_tokens=6)

    def work() -> Stepwise[None]:
        yield Rows(lane, [1, 2], [1, 1])

    with pytest.raises(ValueError, match="found 1 results of 2 rows"):
        run_through(work())


def test_rows_have_one_length_each() -> None:
    with pytest.raises(ValueError, match="found 1 lengths of 2 rows"):
        Rows(Lane[int, int](list, most_tokens=6), [1, 2], [1])
