"""A multi-vector model of any of the formats scores as its own library does, and tells what it cut."""

import json
import shutil
from pathlib import Path
from typing import Any, cast

import pytest
import torch
from sentence_transformers import MultiVectorEncoder
from sentence_transformers.multi_vector_encoder.modules import HierarchicalTokenPooling

from cascade.errors import ModelLoadError
from cascade.inference.multi_vector import DOC_TOKENS, MultiVectorModel
from cascade.inference.rows import Lane, Rows
from cascade.inference.scored import Scored
from cascade.inference.shared_batch import run_alone
from cascade.inference.stepwise import Stepwise, run_through
from cascade.inference.tokenised import TokenisedText

QUERY = "how is bread made"
PASSAGES = ["Bread is baked.", "word " * 300, "", "Flour and water make dough, and an oven does the rest."]


@pytest.fixture(scope="module")
def model(tiny_multi_vector: Path) -> MultiVectorModel:
    model = MultiVectorModel(str(tiny_multi_vector), device="cpu", backend="torch-fp32")
    model.ensure_loaded()
    return model


@pytest.fixture
def pylate(tiny_multi_vector: Path, tmp_path: Path) -> Path:
    """The same weights as PyLate writes them: markers and lengths beside a transformer and a projection."""
    folder = tmp_path / "pylate"
    shutil.copytree(tiny_multi_vector, folder)
    shutil.rmtree(folder / "2_MultiVectorMask")
    shutil.rmtree(folder / "3_Normalize")
    transformer = {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"}
    dense = {"idx": 1, "name": "1", "path": "1_Dense", "type": "pylate.models.Dense.Dense"}
    (folder / "modules.json").write_text(json.dumps([transformer, dense]))
    shape = {"in_features": 32, "out_features": 16, "bias": False}
    activation = {"activation_function": "torch.nn.modules.linear.Identity"}
    (folder / "1_Dense" / "config.json").write_text(json.dumps(shape | activation))
    (folder / "sentence_bert_config.json").write_text(json.dumps({"max_seq_length": 63, "do_lower_case": False}))
    settings: dict[str, Any] = {
        "model_type": "ColBERT",
        "prompts": {},
        "default_prompt_name": None,
        "similarity_fn_name": "MaxSim",
        "query_prefix": "[unused0] ",
        "document_prefix": "[unused1] ",
        "query_length": 12,
        "document_length": 40,
        "attend_to_expansion_tokens": False,
        "skiplist_words": ["."],
    }
    (folder / "config_sentence_transformers.json").write_text(json.dumps(settings))
    return folder


def _library_scores(folder: Path, passages: list[str]) -> list[float]:
    library = MultiVectorEncoder(str(folder), device="cpu", similarity_fn_name="meanmaxsim")
    asked = library.encode_query([QUERY], show_progress_bar=False)
    read = library.encode_document(passages, show_progress_bar=False)
    return [float(score) for score in library.similarity(asked, read)[0]]


def test_scores_equal_the_librarys_own(model: MultiVectorModel, tiny_multi_vector: Path) -> None:
    found = model.score_documents(QUERY, PASSAGES, max_batch_tokens=256)
    assert found.scores == pytest.approx(_library_scores(tiny_multi_vector, PASSAGES), abs=1e-5)


def test_scores_do_not_depend_on_the_batch(model: MultiVectorModel) -> None:
    alone = [model.score_documents(QUERY, [passage]).scores[0] for passage in PASSAGES]
    assert model.score_documents(QUERY, PASSAGES).scores == pytest.approx(alone, abs=1e-5)


def test_a_folder_of_pylate_is_read_with_its_markers_its_expansion_and_its_skiplist(pylate: Path) -> None:
    model = MultiVectorModel(str(pylate), device="cpu", backend="torch-fp32")
    model.ensure_loaded()
    found = model.score_documents(QUERY, PASSAGES)
    assert found.scores == pytest.approx(_library_scores(pylate, PASSAGES), abs=1e-5)
    assert model.score_documents(QUERY, []).tokens == 12
    # [CLS], the marker and [SEP] beside the document's own; the full stop is read, and has no vector.
    assert found.seen == ((4, 4), (37, 300), (0, 0), (13, 13))
    assert len(model.encode_documents(["Bread is baked."])[0].vectors) == 3 + 3


def test_what_the_model_or_the_tier_cuts_is_told(model: MultiVectorModel) -> None:
    assert model.score_documents(QUERY, PASSAGES).seen == ((4, 4), (62, 300), (0, 0), (13, 13))
    assert model.score_documents(QUERY, PASSAGES, max_doc_tokens=10).seen == ((4, 4), (8, 300), (0, 0), (8, 13))


def test_a_cut_document_scores_like_its_beginning(model: MultiVectorModel) -> None:
    long, short = "bread water oven " * 50, "bread water oven " * 2
    scores = model.score_documents(QUERY, [long, short], max_doc_tokens=8).scores
    assert scores[0] == pytest.approx(scores[1], abs=1e-5)


def test_stored_vectors_score_nearly_as_their_texts_and_cost_no_tokens(model: MultiVectorModel) -> None:
    texts = model.score_documents(QUERY, PASSAGES)
    stored = model.score_documents(QUERY, model.encode_documents(PASSAGES))
    assert stored.scores == pytest.approx(texts.scores, abs=5e-3)
    assert stored.seen == texts.seen
    assert stored.tokens == 4 + 2
    mixed = model.score_documents(QUERY, [*model.encode_documents(PASSAGES[:2]), *PASSAGES[2:]])
    assert mixed.scores == pytest.approx(texts.scores, abs=5e-3)


def test_every_batch_is_observed_with_its_tokens(tiny_multi_vector: Path) -> None:
    seen: list[tuple[str, int, int]] = []
    folder = str(tiny_multi_vector)
    model = MultiVectorModel(folder, device="cpu", backend="torch-fp32", on_batch=lambda *batch: seen.append(batch))
    model.ensure_loaded()
    seen.clear()
    found = model.score_documents(QUERY, PASSAGES, max_batch_tokens=64)
    assert sum(items for _, items, _ in seen) == 1 + len(PASSAGES)
    assert sum(tokens for _, _, tokens in seen) == found.tokens


def test_queries_and_documents_of_several_callers_share_a_lane(model: MultiVectorModel) -> None:
    def scoring(query: str) -> Stepwise[Scored]:
        return model.scoring_documents(
            query, PASSAGES, max_query_tokens=32, max_doc_tokens=DOC_TOKENS, max_batch_tokens=64
        )

    whole = [run_through(scoring(query)) for query in (QUERY, "bread")]
    both = [scoring(query) for query in (QUERY, "bread")]
    lanes: list[Lane[Any, Any]] = []
    for _ in range(2):
        for steps in both:
            rows = next(steps)
            assert isinstance(rows, Rows)
            lanes.append(rows.lane)
            run_alone(rows)
    assert all(lane is lanes[0] for lane in lanes)
    assert [run_through(steps) for steps in both] == whole


@pytest.mark.parametrize("strategy", ["fixed", "min"])
@pytest.mark.parametrize("attend", [False, True])
def test_queries_are_expanded_as_the_library_expands_them(
    tiny_multi_vector: Path, tmp_path: Path, strategy: str, attend: bool
) -> None:
    library = MultiVectorEncoder(str(tiny_multi_vector), device="cpu", similarity_fn_name="meanmaxsim")
    settings = {"strategy": strategy, "attend": attend, "length": 9, "token": None}
    cast("Any", library[0]).query_expansion = settings
    library.save_pretrained(str(tmp_path), create_model_card=False)
    model = MultiVectorModel(str(tmp_path), device="cpu", backend="torch-fp32")
    model.ensure_loaded()
    read = library.encode_document(PASSAGES, show_progress_bar=False)
    for query in (QUERY, "bread " * 30):
        expected = library.similarity(library.encode_query([query], show_progress_bar=False), read)[0]
        found = model.score_documents(query, PASSAGES)
        assert found.scores == pytest.approx(expected.tolist(), abs=1e-5)


def test_a_query_that_is_expanded_is_read_where_the_models_layers_are(
    tiny_multi_vector: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    library = MultiVectorEncoder(str(tiny_multi_vector), device="cpu")
    settings = {"strategy": "fixed", "attend": False, "length": 9, "token": None}
    cast("Any", library[0]).query_expansion = settings
    library.save_pretrained(str(tmp_path), create_model_card=False)
    model = MultiVectorModel(str(tmp_path), device="cpu", backend="torch-fp32")
    model.ensure_loaded()

    def moved(module: torch.nn.Module) -> None:
        raise AssertionError("the layers are moved, and documents cannot be read any more on a GPU")

    monkeypatch.setattr(torch.nn.Module, "cpu", moved)
    assert len(model.encode_query(QUERY)) == 9


def test_token_ids_score_as_their_texts(model: MultiVectorModel) -> None:
    tokeniser = model.tokeniser()
    assert tokeniser is not None
    mixed: list[str | TokenisedText] = [*tokeniser(PASSAGES[:2]), *PASSAGES[2:]]
    assert model.score_documents(QUERY, mixed) == model.score_documents(QUERY, PASSAGES)


def test_a_model_that_is_put_together_in_another_way_runs_as_its_library(
    tiny_multi_vector: Path, tmp_path: Path
) -> None:
    library = MultiVectorEncoder(str(tiny_multi_vector), device="cpu", similarity_fn_name="meanmaxsim")
    library.append(HierarchicalTokenPooling(pool_factor=2))
    library.save_pretrained(str(tmp_path), create_model_card=False)
    model = MultiVectorModel(str(tmp_path), device="cpu")
    found = model.score_documents(QUERY, PASSAGES[:2]) if model.dimensions else None
    assert found is not None
    assert model.status.backend == "torch-fp32"
    assert found.scores == pytest.approx(_library_scores(tmp_path, PASSAGES[:2]), abs=1e-5)
    assert found.seen == ((4, 4), (62, 300))
    with pytest.raises(ModelLoadError, match="found the backend 'torch-bf16'"):
        MultiVectorModel(str(tmp_path), device="cpu", backend="torch-bf16").ensure_loaded()


def test_a_bi_encoder_is_no_multi_vector_model() -> None:
    model = MultiVectorModel("embedded:all-minilm-l6-v2", device="cpu")
    with pytest.raises(ModelLoadError, match="expected a multi-vector model"):
        model.ensure_loaded()
    assert not model.status.ready
