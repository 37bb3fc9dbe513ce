"""A request is late only by the load of others, and a cheaper plan is one that fits."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cascade.models import ModelKey
from cascade_server.overload.estimate import Work
from cascade_server.overload.fit import Late, Place, Reason, Times, fit

RATE = 0.001
MODEL = ModelKey("cross_encoder", "m")


def tier(
    name: str = "t",
    *,
    depth: int = 10,
    ahead: float = 0.0,
    limit: float = math.inf,
    most: float | None = None,
    rate: float = RATE,
) -> Place:
    """A tier that reads 100 tokens for each candidate: a tenth of a second."""
    return Place(Work(name, MODEL, 0.0, 100.0, depth, tier=True, most_seconds=most), ahead, rate, limit)


def retriever(*, ahead: float = 0.0, limit: float = math.inf) -> Place:
    """A retriever that takes a tenth of a second."""
    return Place(Work("dense", ModelKey("bi_encoder", "m"), 100.0, 0.0, 0), ahead, RATE, limit)


def test_an_idle_server_runs_the_full_plan() -> None:
    assert fit([retriever(), tier()], Times(answer=2.0), cheaper=False) == {}


def test_what_would_be_late_on_an_idle_server_too_is_left_to_the_engine() -> None:
    assert fit([tier()], Times(answer=0.5), cheaper=False) == {}
    assert fit([tier(ahead=1e9)], Times(answer=0.5), cheaper=False) == {}
    assert fit([retriever(ahead=10.0)], Times(answer=0.05), cheaper=False) == {}


def test_what_the_load_makes_late_is_refused_with_the_time_that_is_missing() -> None:
    late = fit([tier(ahead=1500.0)], Times(answer=2.0), cheaper=False)
    assert isinstance(late, Late)
    assert (late.reason, late.stage) == (Reason.EXPECTED_LATE, "t")
    assert late.seconds == pytest.approx(0.5)


def test_the_budget_of_the_tiers_and_their_own_limits_count() -> None:
    for times, most in ((Times(tiers=1.2), None), (Times(), 1.2)):
        assert fit([tier(ahead=100.0, most=most)], times, cheaper=False) == {}
        assert isinstance(fit([tier(ahead=300.0, most=most)], times, cheaper=False), Late)


def test_without_a_deadline_the_wait_is_bounded() -> None:
    assert fit([tier(ahead=2000.0)], Times(wait=2.0), cheaper=False) == {}
    late = fit([tier(ahead=2500.0)], Times(wait=2.0), cheaper=False)
    assert isinstance(late, Late)
    assert late.seconds == pytest.approx(0.5)


def test_more_ahead_than_the_models_limit_is_refused() -> None:
    late = fit([tier(ahead=700.0, limit=500.0)], Times(), cheaper=False)
    assert isinstance(late, Late)
    assert late.reason is Reason.ADAPTIVE_LIMIT
    assert late.seconds == pytest.approx(0.2)


def test_tiers_run_after_the_retrievers_and_each_other() -> None:
    places = [retriever(ahead=400.0), tier("a"), tier("b", depth=5)]
    assert fit(places, Times(answer=2.0), cheaper=False) == {}
    late = fit(places, Times(answer=1.9), cheaper=False)
    assert isinstance(late, Late)
    assert late.stage == "b"


def test_a_cheaper_plan_gives_the_first_tiers_their_way() -> None:
    assert fit([tier("a"), tier("b", depth=5)], Times(answer=1.6), cheaper=True) == {}
    assert fit([tier("a", ahead=200.0), tier("b", depth=5)], Times(answer=1.55), cheaper=True) == {"b": 3}
    assert fit([tier("a"), tier("b", depth=5, ahead=250.0)], Times(answer=1.6), cheaper=True) == {"b": 3}
    assert fit([tier("a", ahead=750.0), tier("b", depth=5)], Times(answer=1.6), cheaper=True) == {"a": 8, "b": 0}


def test_a_tier_that_would_see_a_single_candidate_is_left_out() -> None:
    assert fit([tier(ahead=450.0)], Times(answer=1.6, wait=0.4), cheaper=True) == {"t": 0}
    assert fit([tier(ahead=100.0, limit=250.0)], Times(), cheaper=True) == {"t": 0}
    assert fit([tier(depth=1, ahead=100.0, limit=250.0)], Times(), cheaper=True) == {}


def test_a_cheaper_plan_narrows() -> None:
    places = [tier("a", ahead=600.0), tier("b", depth=8, rate=0.0)]
    assert fit(places, Times(answer=1.25), cheaper=True) == {"a": 6, "b": 6}


def test_a_cheaper_plan_takes_the_room_that_the_models_limit_leaves() -> None:
    assert fit([tier(ahead=100.0, limit=500.0)], Times(), cheaper=True) == {"t": 4}
    assert fit([tier(ahead=0.0, limit=500.0)], Times(), cheaper=True) == {}


def test_no_plan_is_cheap_enough_without_candidates() -> None:
    late = fit([retriever(ahead=700.0, limit=500.0), tier()], Times(), cheaper=True)
    assert isinstance(late, Late)
    assert late.stage == "dense"
    late = fit([retriever(ahead=700.0)], Times(answer=0.5), cheaper=True)
    assert isinstance(late, Late)
    assert late.seconds == pytest.approx(0.45)


def test_no_more_is_waited_than_the_queue_itself_would_stand() -> None:
    assert fit([tier(ahead=900.0)], Times(answer=2.0), cheaper=False) == {}
    late = fit([tier(depth=1, ahead=1100.0)], Times(answer=2.0), cheaper=False)
    assert isinstance(late, Late)
    assert late.seconds == pytest.approx(0.1)
    assert fit([tier(depth=1, ahead=1100.0)], Times(answer=2.0), cheaper=True) == {"t": 0}


def test_experience_corrects_the_rate() -> None:
    slow = replace(tier(ahead=450.0), pace=2.0)
    assert slow.wait == pytest.approx(0.9)
    assert isinstance(fit([slow], Times(answer=2.0), cheaper=False), Late)
    assert fit([tier(ahead=450.0)], Times(answer=2.0), cheaper=False) == {}


def test_while_no_rate_is_known_all_is_tried() -> None:
    assert fit([tier(ahead=1e9, rate=0.0)], Times(answer=0.001), cheaper=False) == {}


def tiers(limit: st.SearchStrategy[float]) -> st.SearchStrategy[list[Place]]:
    """Tiers that narrow, as those of a cascade do."""
    each = st.builds(
        tier,
        name=st.sampled_from("abcdef"),
        depth=st.integers(1, 100),
        ahead=st.floats(0, 1e5),
        limit=limit,
        most=st.none() | st.floats(0.01, 100),
    )
    several = st.lists(each, max_size=4, unique_by=lambda place: place.work.stage)
    return several.map(lambda found: sorted(found, key=lambda place: -place.work.depth))


@given(tiers(st.floats(0, 1e5)), st.floats(0.01, 100), st.floats(0.01, 100), st.floats(0.01, 10))
def test_a_cheaper_plan_narrows_and_its_reduced_tiers_end_in_time(
    places: list[Place], answer: float, budget: float, wait: float
) -> None:
    depths = fit(places, Times(answer, budget, wait), cheaper=True)
    assert not isinstance(depths, Late)
    seconds, narrowest = 0.0, 10_000
    for place in places:
        depth = depths.get(place.work.stage)
        assert depth is None or 0 <= depth < place.work.depth
        if depth:
            assert depth <= narrowest
            narrowest = depth
            seconds += place.wait + place.work.at(depth).tokens * place.rate
            assert seconds <= min(answer, budget) + 1e-6
            assert place.wait <= wait
            assert place.ahead == 0 or place.ahead + place.work.at(depth).tokens <= place.limit + 1e-6


@given(tiers(st.just(math.inf)), st.floats(0.01, 100), st.floats(0.01, 10))
def test_what_one_cascade_is_refused_another_gets_cheaper(places: list[Place], answer: float, wait: float) -> None:
    times = Times(answer, wait=wait)
    cheaper, refused = fit(places, times, cheaper=True), fit(places, times, cheaper=False)
    assert bool(cheaper) == isinstance(refused, Late)
    if isinstance(refused, Late):
        assert refused.seconds > 0
