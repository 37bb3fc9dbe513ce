"""Measures agree with their formulas, and count a query without a ranking as zero."""

import math

import ir_measures
import numpy as np
import pytest

from cascade.evaluate.measures import MEASURES, recall, score, without

QRELS = {"q1": {"a": 2, "b": 1, "z": 0}, "q2": {"c": 1}, "q3": {"d": 1}}
RUN = {"q1": ("z", "b", "a"), "q2": (*(f"x{i}" for i in range(10)), "c")}


def test_measures_equal_values_computed_by_hand() -> None:
    scored = score(RUN, QRELS)
    gained = 1 / math.log2(3) + 2 / math.log2(4)
    ideal = 2 / math.log2(2) + 1 / math.log2(3)
    assert scored["nDCG@10"] == pytest.approx([gained / ideal, 0.0, 0.0])
    assert scored["R@100"] == pytest.approx([1.0, 1.0, 0.0])
    assert scored["P@10"] == pytest.approx([0.2, 0.0, 0.0])
    assert scored["RR@10"] == pytest.approx([0.5, 0.0, 0.0])
    assert scored["AP"] == pytest.approx([(1 / 2 + 2 / 3) / 2, 1 / 11, 0.0])


def test_other_measures_can_be_asked_for_by_the_names_of_ir_measures() -> None:
    scored = score(RUN, QRELS, ("P@1", "RR(rel=2)@10"))
    assert {name: values.tolist() for name, values in scored.items()} == {
        "P@1": [0.0, 0.0, 0.0],
        "RR(rel=2)@10": [pytest.approx(1 / 3), 0.0, 0.0],
    }


def test_measures_equal_those_of_ir_measures_on_random_rankings() -> None:
    random = np.random.default_rng(5)
    ids = [f"d{i}" for i in range(150)]
    qrels = {f"q{q}": {d: int(random.integers(0, 4)) for d in random.permutation(ids)[:30]} for q in range(8)}
    run = {f"q{q}": tuple(random.permutation(ids)) for q in range(8)}
    scored = score(run, qrels)
    expected = ir_measures.calc_aggregate(
        [ir_measures.parse_measure(name) for name in MEASURES],
        qrels,
        {q: {d: 1.0 / (1 + r) for r, d in enumerate(docs)} for q, docs in run.items()},
    )
    for measure, value in expected.items():
        assert scored[str(measure)].mean() == pytest.approx(value)


def test_a_run_without_any_ranking_scores_zero() -> None:
    assert all(not values.any() and values.shape == (3,) for values in score({}, QRELS).values())


def test_values_follow_the_order_of_the_judgments_and_ignore_other_queries() -> None:
    scored = score({"q2": ("c",), "other": ("a",)}, QRELS)
    assert scored["RR@10"].tolist() == [0.0, 1.0, 0.0]


def test_recall_is_the_share_of_relevant_documents_within_the_depth() -> None:
    assert recall(RUN, QRELS, 2).tolist() == [0.5, 0.0, 0.0]
    assert recall(RUN, QRELS, 11).tolist() == [1.0, 1.0, 0.0]


def test_recall_equals_that_of_ir_measures() -> None:
    by_score = {q: {d: -float(r) for r, d in enumerate(docs)} for q, docs in RUN.items()}
    expected = ir_measures.calc_aggregate([ir_measures.R @ 2], QRELS, by_score)
    assert recall(RUN, QRELS, 2).mean() == pytest.approx(expected[ir_measures.R @ 2])


def test_excluded_documents_leave_the_ranking_of_their_query_only() -> None:
    run = {"q1": ("z", "b", "a"), "q2": ("z",)}
    assert without(run, {"q1": frozenset({"z"})}) == {"q1": ("b", "a"), "q2": ("z",)}
