"""Every stage's order is rebuilt from ranks, also where a stage saw few documents or did not complete."""

from pathlib import Path

import ir_measures

from cascade.evaluate.runs import Observation, Stage, rebuild, write

STAGES = (
    Stage("bm25", "bm25", 10),
    Stage("dense", "dense", 10),
    Stage("fuse", "rrf", 5),
    Stage("head", "identity", 2),
)


def observed(**orders: str) -> Observation:
    return Observation({stage: {d: r for r, d in enumerate(order, 1)} for stage, order in orders.items()}, {})


def test_a_stage_is_what_a_caller_would_get_had_the_cascade_ended_there() -> None:
    runs = rebuild(STAGES, {"q": observed(bm25="abc", dense="cd", fuse="cabd", head="acbd")})
    assert {stage: "".join(run["q"]) for stage, run in runs.items()} == {
        "bm25": "abc",
        "dense": "cd",
        "fuse": "cabd",
        "head": "acbd",
    }


def test_what_a_tier_did_not_rank_follows_in_the_order_it_had() -> None:
    runs = rebuild(STAGES, {"q": observed(bm25="abc", dense="cd", fuse="cabd", head="ac")})
    assert "".join(runs["head"]["q"]) == "acbd"


def test_a_tier_that_was_skipped_leaves_the_order_as_it_was() -> None:
    runs = rebuild(STAGES, {"q": observed(bm25="abc", dense="cd", fuse="cabd")})
    assert runs["head"]["q"] == runs["fuse"]["q"] == ("c", "a", "b", "d")


def test_a_retriever_that_failed_has_nothing_of_the_other() -> None:
    runs = rebuild(STAGES, {"q": observed(bm25="abc", fuse="abc", head="ba")})
    assert runs["dense"]["q"] == ()


def test_a_query_without_an_answer_is_an_empty_order_at_every_stage() -> None:
    runs = rebuild(STAGES, {"q": Observation({}, {}, unanswered=True)})
    assert {run["q"] for run in runs.values()} == {()}


def test_gaps_in_the_ranks_keep_the_order() -> None:
    observation = Observation({"bm25": {"a": 90, "b": 3, "c": 40}}, {})
    assert rebuild(STAGES, {"q": observation})["bm25"]["q"] == ("b", "c", "a")


def test_written_runs_are_read_by_trec_tools_in_the_same_order(tmp_path: Path) -> None:
    paths = write({"bm25": {"q1": ("b", "a"), "q2": ()}}, tmp_path / "runs", "fast")
    assert [path.name for path in paths] == ["bm25.trec"]
    found = list(ir_measures.read_trec_run(str(paths[0])))
    assert [(d.query_id, d.doc_id, d.score) for d in found] == [("q1", "b", -1.0), ("q1", "a", -2.0)]
