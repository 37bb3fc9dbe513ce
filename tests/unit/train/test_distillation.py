"""A student learns what its teachers say, rung by rung, and nothing is done twice."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from cascade.errors import InvalidInputError
from cascade.inference.encoder import Encoder
from cascade.inference.pair_encoder import load_cross_encoder
from cascade.train import candidate_lists
from cascade.train.candidate_lists import CandidateMix
from cascade.train.data import read_collection
from cascade.train.development import DevelopmentSet
from cascade.train.distillation import DistilRecipe, distil, taught_lists
from cascade.train.fitting import Schedule
from cascade.train.rungs import measure_rungs
from cascade.train.students import even_layers, open_student
from cascade.train.teacher_scores import ensemble, read_scores


@pytest.fixture
def teacher(tiny_bert: Path, tmp_path: Path) -> Path:
    model = open_student(str(tiny_bert), 32)
    model.save_pretrained(str(tmp_path / "teacher"), create_model_card=False)
    return tmp_path / "teacher"


@pytest.fixture
def recipe(teacher: Path, tiny_bert: Path) -> DistilRecipe:
    return DistilRecipe(
        teachers=(str(teacher),),
        ladder=(2, 1),
        bi_encoder=str(tiny_bert),
        max_length=32,
        candidates=CandidateMix(hard=3, random=1, echoes=1, near_misses=1, plain=0.5, pool=10),
        schedule=Schedule(lists_per_batch=4, steps=2, bf16=False, checkpoint_steps=1, learning_rate=1e-3),
    )


def test_a_ladder_goes_down_and_each_rung_can_be_served(
    beir_folder: Path, tmp_path: Path, recipe: DistilRecipe, teacher: Path
) -> None:
    out = tmp_path / "run"
    models = distil([beir_folder], out, recipe)
    assert list(models) == ["rung-2", "rung-1"]
    for (name, folder), layers in zip(models.items(), (2, 1), strict=True):
        assert len(load_cross_encoder(str(folder))[0].bert.encoder.layer) == layers
        assert (out / name / "curve.png").is_file()
        assert json.loads((out / name / "log.jsonl").read_text(encoding="utf-8").splitlines()[-1])["step"] == 2

    measured = measure_rungs(
        {"teacher": str(teacher)} | {name: str(folder) for name, folder in models.items()},
        DevelopmentSet.load(beir_folder, "test", depth=5),
        max_length=32,
    )
    assert [rung.name for rung in measured] == ["teacher", "rung-2", "rung-1"]
    assert measured[0].share == measured[0].speed == 1
    assert all(rung.ndcg.low <= rung.ndcg.mean <= rung.ndcg.high and rung.pairs_per_second > 0 for rung in measured)


def test_what_was_asked_of_a_teacher_is_not_asked_again(
    beir_folder: Path, tmp_path: Path, recipe: DistilRecipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "run"
    first = taught_lists([beir_folder], out, recipe)
    (kept,) = (out / "scores").iterdir()
    lines = kept.read_text(encoding="utf-8").splitlines()
    kept.write_text("\n".join(lines[:-1]) + "\n" + lines[-1][:10], encoding="utf-8")  # stopped while it wrote

    asked: list[str] = []
    from cascade.inference.cross_encoder import CrossEncoderModel

    score_pairs = CrossEncoderModel.score_pairs

    def counted(self: CrossEncoderModel, query: str, passages: list[str], **how: int) -> object:
        asked.extend(passages)
        return score_pairs(self, query, passages, **how)

    monkeypatch.setattr(CrossEncoderModel, "score_pairs", counted)
    again = taught_lists([beir_folder], out, recipe)
    assert [item.documents for item in again] == [item.documents for item in first]
    assert [item.teacher for item in again] == [pytest.approx(item.teacher, abs=1e-3) for item in first]
    assert len(asked) == 1 + 2  # the one that was lost, and the two of the self-test


def test_a_finished_ladder_is_left_alone_when_resumed(beir_folder: Path, tmp_path: Path, recipe: DistilRecipe) -> None:
    out = tmp_path / "run"
    recipe = replace(recipe, ladder=(1,))
    (folder,) = distil([beir_folder], out, recipe).values()
    before = (folder / "model.safetensors").stat().st_mtime_ns
    assert distil([beir_folder], out, recipe, resume=True) == {"rung-1": folder}
    assert (folder / "model.safetensors").stat().st_mtime_ns == before
    with pytest.raises(InvalidInputError, match="holds a distillation"):
        distil([beir_folder], out, recipe)
    with pytest.raises(InvalidInputError, match="another recipe began this folder"):
        distil([beir_folder], out, replace(recipe, max_length=16), resume=True)


def test_lists_hold_an_answer_mined_documents_and_made_passages(
    beir_folder: Path, tmp_path: Path, recipe: DistilRecipe
) -> None:
    taught = taught_lists([beir_folder], tmp_path / "run", recipe)
    collection = read_collection(beir_folder)
    chosen = candidate_lists.read(tmp_path / "run" / "lists" / "tiny.jsonl")
    assert len(chosen) == len(taught) == 12
    made = [doc_id.split(":")[0] for item in chosen for doc_id in item.made]
    assert made.count("echo") == 12
    assert 0 < made.count("near-miss") <= 12
    assert 0 < made.count("plain") < 12
    for item in chosen:
        assert f"echo:{item.query_id}" not in item.doc_ids
        assert sum(item.labels) == 1
        assert len(set(item.doc_ids)) == len(item.doc_ids)
        (answer,) = (doc_id for doc_id, label in zip(item.doc_ids, item.labels, strict=True) if label)
        topic = item.query_id.removeprefix("q-")
        assert answer.removeprefix("plain:") == f"{topic}-0"
        assert all(passage for passage in item.passages(collection).values())


def test_a_collection_without_answers_is_taught_with_all_its_questions(
    beir_folder: Path, tmp_path: Path, recipe: DistilRecipe
) -> None:
    (beir_folder / "triples.train.jsonl").unlink()
    lists = taught_lists([beir_folder], tmp_path / "run", recipe)
    assert len(lists) == 12
    assert all(set(item.labels) == {0.0} for item in lists)


def test_score_files_can_be_teachers(beir_folder: Path, tmp_path: Path, recipe: DistilRecipe) -> None:
    run, rows = tmp_path / "strong.trec", tmp_path / "other.jsonl"
    run.write_text(
        "q-tea Q0 tea-0 1 9.5 x\nq-tea Q0 rain-0 2 1.5 x\nq-tea Q0 iron-0 3 0.5 x\nq-rain Q0 rain-0 1 3 x\n",
        encoding="utf-8",
    )
    said = [("tea-0", 0.9), ("rain-0", 0.2), ("salt-0", 0.1)]
    rows.write_text(
        "".join(json.dumps({"query_id": "q-tea", "doc_id": d, "score": s}) + "\n" for d, s in said), encoding="utf-8"
    )
    recipe = replace(recipe, teachers=(str(run), str(rows)))
    (only,) = taught_lists([beir_folder], tmp_path / "run", recipe)
    assert only.query == "what is tea"
    assert only.labels == (1.0, 0.0)
    assert only.teacher == pytest.approx((4.0, -4.0))


def test_a_bi_encoder_can_be_a_teacher(
    beir_folder: Path, tmp_path: Path, recipe: DistilRecipe, tiny_bert: Path
) -> None:
    from sentence_transformers import SentenceTransformer

    folder = str(tmp_path / "bi-encoder")
    SentenceTransformer(str(tiny_bert), device="cpu").save_pretrained(folder, create_model_card=False)
    taught = taught_lists([beir_folder], tmp_path / "run", replace(recipe, teachers=(folder,)))
    model = Encoder(folder, device="cpu", backend="torch-fp32")
    texts = set(read_collection(beir_folder).texts.values())
    for item in taught:
        scores = {text: score for text, score in zip(item.documents, item.teacher, strict=True) if text in texts}
        cosines = model.encode_documents(list(scores)) @ model.encode_queries([item.query])[0]
        assert list(scores.values()) == pytest.approx(20 * cosines, abs=0.3)


def test_teachers_are_not_asked_about_what_was_made(
    beir_folder: Path, tmp_path: Path, recipe: DistilRecipe, teacher: Path
) -> None:
    """They count shared words too: a near miss would be taught as an answer."""
    out = tmp_path / "run"
    taught = {item.query: item for item in taught_lists([beir_folder], out, recipe)}
    (asked,) = (read_scores(path) for path in (out / "scores").iterdir())
    for chosen in candidate_lists.read(out / "lists" / "tiny.jsonl"):
        said = asked[chosen.query_id]
        assert set(said) <= set(read_collection(beir_folder).texts)
        for doc_id, score in zip(chosen.doc_ids, taught[chosen.query].teacher, strict=True):
            kind, _, of = doc_id.partition(":")
            wanted = min(said.values()) if kind in ("echo", "near-miss") else said[of or doc_id]
            assert score == wanted


def test_an_ensemble_is_the_mean_of_z_scores() -> None:
    assert ensemble([[1.0, 2.0]], 5.0) == [1.0, 2.0]
    assert ensemble([[0.0, 10.0], [3.0, 1.0]], 2.0) == pytest.approx([0.0, 0.0])
    assert ensemble([[0.0, 10.0], [7.0, 7.0]], 2.0) == pytest.approx([-1.0, 1.0])
    assert ensemble([[0.0, 10.0], [3.0, 1.0]], 2.0, [3.0, 1.0]) == pytest.approx([-1.0, 1.0])


@pytest.mark.parametrize(
    ("name", "line", "message"),
    [
        ("x.jsonl", '{"query_id": "q"}', "expected query_id, doc_id and score"),
        ("x.trec", "q d 1", "expected the six columns"),
    ],
)
def test_a_broken_score_file_names_the_line(tmp_path: Path, name: str, line: str, message: str) -> None:
    (tmp_path / name).write_text(line + "\n", encoding="utf-8")
    with pytest.raises(InvalidInputError, match=rf"{name}:1: .*{message}"):
        read_scores(tmp_path / name)


def test_layers_are_kept_at_even_distances() -> None:
    assert even_layers(12, 6) == [1, 3, 5, 7, 9, 11]
    assert even_layers(6, 3) == [1, 3, 5]
    assert even_layers(6, 6) == [0, 1, 2, 3, 4, 5]
    assert even_layers(6, 4)[-1] == 5


@pytest.mark.parametrize("change", [{"ladder": (1, 2)}, {"ladder": (5,)}, {"keep": (0, 7)}])
def test_rungs_that_cannot_be_are_refused(
    beir_folder: Path, tmp_path: Path, recipe: DistilRecipe, change: dict[str, tuple[int, ...]]
) -> None:
    with pytest.raises(InvalidInputError, match="layers"):
        distil([beir_folder], tmp_path / "run", replace(recipe, **change))
