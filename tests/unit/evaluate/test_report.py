"""A report counts every query, excludes what must be excluded, and has the JSON shape that is promised."""

import io
import json
from dataclasses import replace

import pytest
from rich.console import Console

from cascade.evaluate.collection import Collection
from cascade.evaluate.measures import MEASURES
from cascade.evaluate.report import Report, measure, to_json
from cascade.evaluate.runs import Observation, Stage, StageCost, rebuild
from cascade.evaluate.tables import answer_table, cost_table, quality_table
from cascade.types import Document
from cascade_client import Provenance, Ranked, Result, StageScore, StageStatus, StageTrace

STAGES = (Stage("bm25", "bm25", 10), Stage("fuse", "rrf", 10), Stage("tier", "cross_encoder", 2))
QUERIES = {f"q{i}": "text" for i in range(12)}
COLLECTION = Collection(
    name="tiny",
    split="test",
    documents=(Document("a", "a"), Document("b", "b"), Document("c", "c")),
    queries=QUERIES,
    qrels={query_id: {"b": 1} for query_id in QUERIES},
    excluded={"q0": frozenset({"a"})},
)


def observed(status: str = "completed") -> Observation:
    found = {"bm25": {"a": 1, "b": 2, "c": 3}, "fuse": {"a": 1, "b": 2, "c": 3}}
    costs = {"bm25": StageCost("completed", 3, 0, 0.01), "fuse": StageCost("completed", 3, 0, 0.0)}
    if status == "completed":
        found["tier"] = {"b": 1, "a": 2}
    tier = StageCost(status, 2, 40, 0.5, scored=1, repairs=3)
    return Observation(found, costs | {"tier": tier}, degraded=status != "completed")


def report(observations: dict[str, Observation], price: float | None = None) -> Report:
    stages = measure(COLLECTION, STAGES, rebuild(STAGES, observations), observations, seed=0, price_per_hour=price)
    return Report(
        collection="tiny",
        split="test",
        queries=12,
        cascade="fast",
        config_hash="abc",
        index="tiny",
        top_k=10,
        degraded_queries=sum(o.degraded for o in observations.values()),
        unanswered_queries=0,
        stages=stages,
        notes=("a note",),
        query_ids=tuple(QUERIES),
        compared_by="nDCG@10",
        price_per_hour=price,
        money=None if price is None else sum(figures.money or 0.0 for figures in stages),
    )


def test_a_tier_is_measured_against_every_stage_before_it() -> None:
    bm25, fuse, tier = report({q: observed() for q in QUERIES}).stages
    assert bm25.measures["RR@10"].mean == pytest.approx((11 * 0.5 + 1.0) / 12)  # q0 has its source excluded
    assert tier.measures["RR@10"].mean == 1.0
    assert (bm25.against, bm25.against_previous) == ({}, None)
    assert tier.against_previous == tier.against["fuse"]
    assert tier.against["bm25"].delta > 0
    assert tier.against["bm25"].p < 0.01
    assert fuse.against["bm25"].p == 1.0


def test_a_query_without_an_answer_counts_as_zero() -> None:
    observations = {q: observed() for q in QUERIES} | {"q5": Observation({}, {}, unanswered=True)}
    assert report(observations).stages[-1].measures["RR@10"].mean == pytest.approx(11 / 12)


def test_a_skipped_tier_is_counted_and_costs_nothing() -> None:
    observations = {q: observed("skipped" if q in ("q1", "q2", "q3") else "completed") for q in QUERIES}
    found = report(observations)
    tier = found.stages[-1]
    assert found.degraded_queries == 3
    assert tier.status == {"completed": 9, "skipped": 3}
    assert (tier.candidates, tier.scored, tier.tokens, tier.seconds, tier.repairs) == (2.0, 1.0, 40.0, 0.5, 3.0)
    assert tier.measures["RR@10"].mean == pytest.approx((9 + 3 * 0.5) / 12)


def test_the_recall_ceiling_is_that_of_what_a_stage_may_order() -> None:
    observations = {q: observed("skipped") for q in QUERIES}
    shallow = (STAGES[0], STAGES[1], Stage("tier", "cross_encoder", 1))
    figures = measure(COLLECTION, shallow, rebuild(shallow, observations), observations, seed=0)
    assert figures[1].recall_ceiling.mean == 1.0
    assert figures[2].recall_ceiling.mean == pytest.approx(1 / 12)


def test_the_json_has_the_promised_shape() -> None:
    found = json.loads(json.dumps(to_json(report({q: observed() for q in QUERIES}))))
    assert {"collection", "split", "queries", "cascade", "config_hash", "degraded_queries"} <= set(found)
    stage = found["stages"][-1]
    assert {"stage", "kind", "candidates", "tokens", "seconds", "status", "measures"} <= set(stage)
    assert set(stage["measures"]) == {*MEASURES, "R@2"}
    assert set(stage["measures"]["nDCG@10"]) == set(stage["recall_ceiling"]) == {"mean", "low", "high"}
    assert set(stage["against_previous"]) == {"stage", "delta", "p"}
    assert {name: set(value) for name, value in stage["against"].items()} == {
        "bm25": {"delta", "p"},
        "fuse": {"delta", "p"},
    }
    assert found["stages"][0]["against_previous"] is None
    assert (found["compared_by"], found["money"]) == ("nDCG@10", None)
    assert "per_query" not in stage


def test_the_json_has_every_querys_values_when_asked_for() -> None:
    observations = {q: observed() for q in QUERIES} | {"q5": Observation({}, {}, unanswered=True)}
    tier = json.loads(json.dumps(to_json(report(observations), per_query=True)))["stages"][-1]
    assert set(tier["per_query"]) == set(tier["measures"])
    assert tier["per_query"]["RR@10"] == {q: float(q != "q5") for q in QUERIES}


def test_money_is_the_time_of_every_query_at_the_price_of_the_machine() -> None:
    observations = {q: observed("skipped" if q in ("q1", "q2", "q3") else "completed") for q in QUERIES}
    found = report(observations, price=7200.0)
    assert [figures.money for figures in found.stages] == pytest.approx([0.02, 0.0, 0.5 * 9 / 12 * 2])
    assert found.money == pytest.approx(0.77)
    console = Console(width=80, file=io.StringIO())
    with console.capture() as captured:
        console.print(cost_table(found))
    assert "money: 0.77 in all, at 7200.0 an hour" in " ".join(captured.get().split())


def test_the_tables_fit_a_terminal_and_show_every_stage_with_its_interval() -> None:
    console = Console(width=80, file=io.StringIO())
    found = report({q: observed("skipped") for q in QUERIES})
    long = replace(found.stages[-1], stage=Stage("cross_encoder", "cross_encoder", 2))
    found = replace(found, stages=(*found.stages, long))
    with console.capture() as captured:
        console.print(quality_table(found), cost_table(found))
    shown = captured.get()
    assert "12 skipped" in shown
    assert shown.count("tier ") == 2
    assert shown.count("cross_encoder ") == 2
    assert "0.542" in shown
    assert ".500–.625" in shown
    assert "…" not in shown


def test_an_answers_table_fits_a_terminal_and_shows_where_each_result_came_from() -> None:
    names = ("bm25", "dense", "fuse", "cross_encoder", "listwise")
    places = tuple(StageScore(name, 100 - place, 0.0) for place, name in enumerate(names))
    ranked = Ranked(
        results=tuple(Result(f"d{rank}", rank, 0.0, "listwise", stages=places) for rank in range(1, 6)),
        trace=tuple(
            StageTrace(name, name, StageStatus.COMPLETED, "", "", 4653, 100, 0, 4.1234, "", 4002) for name in names
        ),
        degraded=False,
        provenance=Provenance("quality", "", {}),
    )
    console = Console(width=80, file=io.StringIO())
    with console.capture() as captured:
        console.print(answer_table(ranked))
    rows = [line.split() for line in captured.get().splitlines()]
    assert ["cross_encoder", "completed", "4653→100", "4123", "4002", *["97"] * 5] in rows
    assert ["bm25", "completed", "4653→100", "4123", "4002", *["100"] * 5] in rows
