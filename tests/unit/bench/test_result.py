"""A result is the same after it was JSON, and its goals are held against the worse end of an interval."""

import json

import pytest

from cascade.bench.measure import Goal
from cascade.bench.result import Check, Result
from tests.unit.bench.conftest import MakeMeasured


def test_json_has_what_programs_look_for(result: Result) -> None:
    found = result.to_json()
    assert {"name", "ours", "peers", "quality", "machine"} <= found.keys()
    assert found["peers"][0]["name"] == "peer"
    assert found["peers"][0]["version"] == "2.0"
    assert found["peers"][0]["ratio"] == {"median": 5, "low": 4.5, "high": 6, "rounds": [5.0, 5.0, 5.0]}
    assert (found["peers"][0]["floor"], found["peers"][0]["aim"], found["peers"][0]["met"]) == (4, 8, "floor")
    assert found["ours"]["median"] == 50.0


def test_a_result_comes_back_from_json(result: Result) -> None:
    back = Result.from_json(json.loads(json.dumps(result.to_json())))
    assert back.to_json() == result.to_json()
    assert back.peers[0] == result.peers[0]


def test_several_measurements_are_one_result_in_order(result: Result) -> None:
    assert [peer.speed.name for peer in result.peers] == ["peer", "peer, short"]
    assert [speed.name for speed in (result.ours, *result.also)] == ["ours", "ours, short"]


def test_a_ratio_meets_what_its_lower_end_reaches(measured: MakeMeasured) -> None:
    (low,) = measured(goal=Goal(4, 8), ratio=(9, 3.9, 12)).peers
    (high,) = measured(goal=Goal(4, 8), ratio=(9, 8.1, 12)).peers
    assert (low.met, high.met) == ("neither", "aim")


@pytest.mark.parametrize(
    ("high", "met"), [(0.0, "aim"), (0.002, "floor"), (0.0021, "neither")], ids=["nothing", "little", "too much"]
)
def test_where_less_is_better_the_upper_end_counts(high: float, met: str) -> None:
    assert Check("lost", -0.1, Goal(0.002, 0.0), "less", low=-0.2, high=high).met == met


def test_a_figure_without_an_interval_counts_itself() -> None:
    assert Check("same bits", 100.0, Goal(100, 100), "more", "%").met == "aim"
    assert Check("same bits", 99.9, Goal(100, 100), "more", "%").met == "neither"
