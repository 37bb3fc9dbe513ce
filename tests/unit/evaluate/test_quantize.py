"""A backend's cost is the nDCG@10 that its ranking of the same candidates loses, with an interval."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from cascade.errors import CascadeError, InvalidInputError
from cascade.evaluate.quantize import Asked, Scorer, kind_of, measure, read

TEXTS = {f"d{i}": f"tea number {i} " + "leaf " * i for i in range(6)}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three questions, of which the document with their own number is the answer."""
    folder = tmp_path / "teas"
    (folder / "qrels").mkdir(parents=True)
    queries = {f"q{i}": f"tea number {i}" for i in range(3)}
    for name, texts in (("corpus", TEXTS), ("queries", queries)):
        rows = [json.dumps({"_id": key, "text": text}) for key, text in texts.items()]
        (folder / f"{name}.jsonl").write_text("\n".join(rows) + "\n", encoding="utf-8")
    judged = "".join(f"q{i}\td{i}\t1\n" for i in range(3))
    (folder / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\n" + judged, encoding="utf-8")
    return folder


@pytest.fixture
def asked(folder: Path) -> Asked:
    """All three, with all six documents as candidates."""
    return read(str(folder), "test", None, 6, 3, 0)


def scorer(score: Callable[[str, str], float]) -> Scorer:
    """Scores every passage by itself."""

    async def scores(query: str, passages: Sequence[str]) -> Sequence[float]:
        return [score(query, passage) for passage in passages]

    return scores


right = scorer(lambda query, passage: float(query in passage))
wrong = scorer(lambda query, passage: -float(query in passage))


async def test_the_same_ranking_loses_nothing(asked: Asked) -> None:
    found = await measure(asked, right, right)
    assert (found.ndcg_fp32, found.ndcg, found.loss, found.low, found.high) == (1.0, 1.0, 0.0, 0.0, 0.0)
    assert (found.kendall_tau, found.p, found.queries, found.candidates) == (1.0, 1.0, 3, 6)


async def test_a_worse_ranking_loses_and_a_better_one_gains(asked: Asked) -> None:
    lost, gained = await measure(asked, right, wrong), await measure(asked, wrong, right)
    assert lost.ndcg_fp32 == 1.0
    assert lost.loss == pytest.approx(1.0 - lost.ndcg, abs=1e-4)
    assert 0 < lost.low <= lost.loss <= lost.high
    assert gained.loss == -lost.loss
    assert lost.kendall_tau == -1.0


async def test_every_query_is_told_of_and_both_rank_all_of_its_candidates(asked: Asked) -> None:
    told: list[int] = []
    given: list[tuple[str, str, int]] = []

    def recording(name: str) -> Scorer:
        async def scores(query: str, passages: Sequence[str]) -> Sequence[float]:
            given.append((name, query, len(passages)))
            return [float(len(passage)) for passage in passages]

        return scores

    await measure(asked, recording("first"), recording("second"), tell=lambda: told.append(1))
    assert len(told) == 3
    assert sorted(given) == [(name, f"tea number {i}", 6) for name in ("first", "second") for i in range(3)]


async def test_ties_fall_as_the_engine_lets_them_fall(asked: Asked) -> None:
    flat = scorer(lambda query, passage: 0.0)
    found = await measure(asked, flat, flat)
    assert found.kendall_tau == 1.0
    assert found.ndcg == pytest.approx((1 + 1 / 1.58496 + 0.5) / 3, abs=1e-3)


def test_candidates_are_the_best_by_bm25(folder: Path) -> None:
    found = read(str(folder), "test", None, 2, 3, 0)
    assert {len(doc_ids) for doc_ids in found.candidates.values()} == {2}
    assert all(query_id.replace("q", "d") in doc_ids for query_id, doc_ids in found.candidates.items())


def test_candidates_may_be_those_of_a_run(folder: Path, tmp_path: Path) -> None:
    run = tmp_path / "some.trec"
    run.write_text("q1 Q0 d5 1 9 x\nq1 Q0 d1 2 8 x\nq1 Q0 d0 3 7 x\n", encoding="utf-8")
    found = read(str(folder), "test", run, 2, 3, 0)
    assert found.candidates == {"q1": ("d5", "d1")}
    assert list(found.collection.queries) == ["q1"]


def test_a_run_of_other_queries_is_refused(folder: Path, tmp_path: Path) -> None:
    run = tmp_path / "some.trec"
    run.write_text("other Q0 d5 1 9 x\n", encoding="utf-8")
    with pytest.raises(InvalidInputError, match="none of the 3 judged queries"):
        read(str(folder), "test", run, 2, 3, 0)


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CascadeError, match="no such folder"):
        read(str(tmp_path / "nothing"), "test", None, 2, 3, 0)


@pytest.mark.parametrize(
    ("files", "kind"),
    [
        ({"config_sentence_transformers.json": {"model_type": "CrossEncoder"}}, "cross_encoder"),
        ({"config_sentence_transformers.json": {"model_type": "MultiVectorEncoder"}}, "late_interaction"),
        ({"config.json": {"architectures": ["BertForSequenceClassification"]}}, "cross_encoder"),
        ({"config.json": {"architectures": ["HF_ColBERT"]}}, "late_interaction"),
        ({"joint.json": {"base": "embedded:any"}}, "joint"),
        ({"config.json": {"architectures": ["BertModel"]}, "modules.json": [{"type": "any"}]}, "bi_encoder"),
    ],
)
def test_a_models_files_say_what_it_is(tmp_path: Path, files: dict[str, object], kind: str) -> None:
    for name, content in files.items():
        (tmp_path / name).write_text(json.dumps(content), encoding="utf-8")
    assert kind_of(str(tmp_path)) == kind


def test_a_model_that_does_not_say_what_it_is_is_asked_for(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}", encoding="utf-8")
    with pytest.raises(InvalidInputError, match="say it by --kind"):
        kind_of(str(tmp_path))
