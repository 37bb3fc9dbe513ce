"""A small gain that no single collection proves can be proven by all of them together."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cascade.errors import InvalidInputError
from cascade.evaluate.pool import pool, pooled_json, read_report


def report(name: str, measure: str = "nDCG@10", **stages: list[float]) -> dict[str, Any]:
    """As the JSON of `cascade eval` has it."""
    return {
        "collection": name,
        "split": "test",
        "queries": len(next(iter(stages.values()))),
        "compared_by": measure,
        "stages": [
            {"stage": stage, "per_query": {measure: {f"q{i}": v for i, v in enumerate(values)}}}
            for stage, values in stages.items()
        ],
    }


def test_a_gain_is_proven_by_several_collections_together() -> None:
    random = np.random.default_rng(1)
    reports = []
    for name in ("one", "two", "three"):
        before = random.uniform(0, 1, 12)
        gains = random.normal(0.03, 0.045, 12)
        reports.append(report(name, bm25=before.tolist(), tier=(before + gains).tolist()))
    alone = [pool([r], seed=0).stages[1].against_previous for r in reports]
    together = pool(reports, seed=0)
    previous = together.stages[1].against_previous
    assert previous is not None
    assert previous.p < 0.01 < max(found.p for found in alone if found is not None)
    assert together.queries == (12, 12, 12)
    assert previous.delta == pytest.approx(np.mean(together.stages[1].deltas))


def test_every_query_counts_alike_and_stages_are_matched_by_name() -> None:
    large = report("large", run=[0.0] * 9, bm25=[0.5] * 9, last=[0.5] * 9)
    small = report("small", bm25=[0.0], other=[1.0], last=[1.0])
    found = pooled_json(pool([large, small], seed=0))
    assert found["collections"] == {"large (test)": 9, "small (test)": 1}
    assert found["queries"] == 10
    assert [stage["stage"] for stage in found["stages"]] == ["bm25", "last"]
    first, last = found["stages"]
    assert first["against_previous"] is None
    assert last["measures"]["nDCG@10"]["mean"] == pytest.approx(0.55)
    assert last["against_previous"] == {"stage": "bm25", "delta": pytest.approx(0.1), "p": 1.0}
    assert last["deltas"] == {"large (test)": 0.0, "small (test)": 1.0}


def test_reports_that_do_not_go_together_are_refused() -> None:
    with pytest.raises(InvalidInputError, match=r"compared by AP, nDCG@10, expected one measure"):
        pool([report("a", tier=[1.0]), report("b", "AP", tier=[1.0])], seed=0)
    with pytest.raises(InvalidInputError, match="no stage in common"):
        pool([report("a", tier=[1.0]), report("b", other=[1.0])], seed=0)


def test_a_report_without_values_per_query_says_how_to_make_one(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    path.write_text(json.dumps(report("a", tier=[1.0])), encoding="utf-8")
    assert read_report(path)["collection"] == "a"
    path.write_text('{"stages": [{"stage": "tier"}]}', encoding="utf-8")
    with pytest.raises(InvalidInputError, match=r"cascade eval .* --json --per-query"):
        read_report(path)
    path.write_text("{", encoding="utf-8")
    with pytest.raises(InvalidInputError, match=r"report\.json: cannot be read as JSON"):
        read_report(path)
