"""A query's own candidates are a run's, in its order, or those judged for it, in an order that tells nothing."""

from dataclasses import replace
from pathlib import Path

import pytest

from cascade.errors import InvalidInputError
from cascade.evaluate.candidates import judged_documents, read_run, with_judged, with_run
from cascade.evaluate.collection import Candidates, Collection
from cascade.types import Document

COLLECTION = Collection(
    name="fruit",
    split="test",
    documents=tuple(Document(f"d{n}", "apple") for n in range(1, 7)),
    queries={"q1": "one", "q2": "two", "q3": "three"},
    qrels={"q1": {"d1": 1, "d2": 0, "d3": 0, "d4": 0}, "q2": {"d5": 1}, "q3": {"d6": 1, "gone": 0}},
    excluded={},
    notes=("as it is",),
)


def run(tmp_path: Path, *lines: str) -> Path:
    path = tmp_path / "run.trec"
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def test_a_run_is_ordered_by_score_then_by_rank_and_cut(tmp_path: Path) -> None:
    path = run(tmp_path, "q1 Q0 d3 1 2.0 x", "q1 Q0 d2 3 2.0 x", "q1 Q0 d1 2 5 x", "q2 Q0 d5 1 1 x", "q1 Q0 d4 4 0.5 x")
    found = read_run(path, 3)
    assert found == Candidates("run", {"q1": ("d1", "d3", "d2"), "q2": ("d5",)})
    assert found.most == 3


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("q1 Q0 d2 2 1.0", r"run\.trec:2: found 5 columns, expected query, Q0, document, rank, score, tag"),
        ("q1 Q0 d2 2 high x", r"run\.trec:2: score 'high' is not a number"),
        ("q1 Q0 d2 second 1 x", r"run\.trec:2: rank 'second' is not a whole number"),
        ("q1 Q0 d1 2 1 x", r"run\.trec:2: document 'd1' stands twice for query 'q1'"),
    ],
)
def test_a_broken_run_names_its_line(tmp_path: Path, line: str, message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        read_run(run(tmp_path, "q1 Q0 d1 1 9 x", line), 10)


def test_an_empty_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="no line, expected a TREC run"):
        read_run(run(tmp_path, ""), 10)


def test_a_run_brings_its_documents_and_what_it_lacks_is_noted() -> None:
    given = with_run(COLLECTION, Candidates("run", {"q1": ("d3", "d9"), "q3": ("d6",), "other": ("d1",)}))
    assert given.candidates == Candidates("run", {"q1": ("d3", "d9"), "q3": ("d6",)})
    assert [d.doc_id for d in given.documents] == ["d3", "d6"]
    assert list(given.queries) == ["q1", "q2", "q3"]
    assert given.notes == (
        "as it is",
        "1 judged queries are not in the run and count as 0",
        "1 documents of the run have no text in the collection: they keep their place in the run alone",
    )


def test_a_run_of_other_queries_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="has none of the 3 judged queries of 'fruit'"):
        with_run(COLLECTION, Candidates("run", {"other": ("d1",)}))


def test_judged_candidates_leave_out_queries_that_cannot_be_ranked_wrong() -> None:
    given = with_judged(COLLECTION, seed=0)
    assert given.candidates is not None
    assert {q: sorted(doc_ids) for q, doc_ids in given.candidates.by_query.items()} == {"q1": ["d1", "d2", "d3", "d4"]}
    assert (list(given.queries), list(given.qrels)) == (["q1"], ["q1"])
    assert [d.doc_id for d in given.documents] == ["d1", "d2", "d3", "d4"]
    assert given.notes == (
        "as it is",
        "1 judged documents have no text and are no candidates",
        "2 queries whose candidates are all or none relevant are left out",
    )


def test_the_order_of_judged_candidates_tells_nothing_and_is_the_same_for_the_same_seed() -> None:
    def order(seed: int) -> tuple[str, ...]:
        candidates = with_judged(COLLECTION, seed).candidates
        assert candidates is not None
        return candidates.by_query["q1"]

    assert order(3) == order(3)
    assert {order(seed)[0] for seed in range(30)} == {"d1", "d2", "d3", "d4"}


def test_judgments_that_decide_nothing_are_refused() -> None:
    with pytest.raises(InvalidInputError, match="no query has both a relevant and another judged document"):
        with_judged(replace(COLLECTION, queries={"q2": "two"}, qrels={"q2": {"d5": 1}}), seed=0)


def test_a_sample_has_the_candidates_of_its_queries_only() -> None:
    given = with_run(COLLECTION, Candidates("run", {"q1": ("d3",), "q2": ("d5",), "q3": ("d6",)})).sample(1, seed=0)
    assert given.candidates is not None
    assert list(given.candidates.by_query) == list(given.queries)


def test_all_judged_documents_are_needed() -> None:
    assert judged_documents(COLLECTION.qrels) == {"d1", "d2", "d3", "d4", "d5", "d6", "gone"}
