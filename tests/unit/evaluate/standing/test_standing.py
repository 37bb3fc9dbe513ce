"""The standing evaluation: what it runs, and the tables that it writes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cascade.config import load
from cascade.errors import InvalidInputError
from cascade.evaluate.standing.rows import Plan, evaluations, load_plan
from cascade.evaluate.standing.tables import BEGIN, END, insert, markdown
from cascade.presets import load_all

PLAN = Plan.model_validate(
    {
        "tasks": [{"title": "T", "collection": "c", "options": ["--run", "{folder}/run.trec"]}],
        "tiers": [{"title": "X", "cascade": "quality", "stages": {"bm25": "BM25", "cross_encoder": "the tier"}}],
    }
)


def _stage(name: str, values: list[float], **more: Any) -> dict[str, Any]:
    mean = sum(values) / len(values)
    return {
        "stage": name,
        "measures": {"nDCG@10": {"mean": mean, "low": mean - 0.1, "high": mean + 0.1}},
        "per_query": {"nDCG@10": {str(i): value for i, value in enumerate(values)}},
        "scored": 100.0,
        "tokens": 12_000.0,
        "seconds": 1.5,
        **more,
    }


def _reports(values: list[float]) -> dict[tuple[str, str], dict[str, Any]]:
    stages = [
        _stage("bm25", [0.5] * len(values)),
        _stage("cross_encoder", values, against={"bm25": {"delta": 0.25, "p": 0.01}}),
    ]
    return {("T", "X"): {"compared_by": "nDCG@10", "queries": len(values), "stages": stages}}


def test_every_tier_of_the_plan_is_a_cascade_that_exists() -> None:
    for evaluation in evaluations(load_plan(), Path("collections"), Path("work")):
        cascade = evaluation.arguments[evaluation.arguments.index("--cascade") + 1]
        config = load_all().get(cascade) or load(Path(cascade))
        assert set(evaluation.tier.stages) <= set(config.stage_names)


def test_an_evaluation_names_the_collection_s_own_files() -> None:
    (evaluation,) = evaluations(PLAN, Path("collections"), Path("work"))
    assert str(Path("collections/c/run.trec")) in evaluation.arguments
    assert evaluation.report == Path("work/t.quality.json")


def test_tables_say_what_a_tier_adds_and_costs() -> None:
    tables = markdown(PLAN, _reports([0.5, 1.0, 0.75, 0.75]))
    assert "| the tier | 0.750 [0.650, 0.850] | BM25 | +0.250, 0.0100 | 100 | 12,000 | 1.50 |" in tables
    assert "| the tier | BM25 | 4 | +0.2500 [" in tables


def test_only_what_stands_between_the_marks_is_replaced() -> None:
    text = f"before\n{BEGIN}\nold\n{END}\nafter\n"
    assert insert(text, "new") == f"before\n{BEGIN}\n\nnew\n{END}\nafter\n"


@pytest.mark.parametrize("text", ["no marks", f"{BEGIN} only", f"{END} then nothing"])
def test_a_file_without_both_marks_is_refused(text: str) -> None:
    with pytest.raises(InvalidInputError, match="tables: begin"):
        insert(text, "new")
