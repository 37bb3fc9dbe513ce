"""The likelihood tier: packing sequences changes the cost and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from cascade.budget import Budget
from cascade.errors import ModelLoadError
from cascade.inference.rows import Rows
from cascade.rerank.listwise.decoder import decoder_of
from cascade.rerank.listwise.likelihood import LikelihoodReranker
from cascade.rerank.listwise.likelihood_model import LikelihoodModel, likelihood_prompt
from cascade.testing import RerankerConformance, candidates_of
from cascade.types import Query

QUERY = "what is the capital of france"
PASSAGES = ["Paris is the capital of France.", "Water boils.", "", "Stir the dough until it is smooth and " * 4]


@pytest.fixture(scope="module")
def model(likelihood_folder: Path) -> LikelihoodModel:
    """A loaded model of random weights."""
    loaded = LikelihoodModel(str(likelihood_folder), device="cpu")
    loaded.ensure_loaded()
    return loaded


class TestLikelihoodReranker(RerankerConformance):
    rounding = 3e-2

    @pytest.fixture(autouse=True)
    def _take(self, model: LikelihoodModel) -> None:
        self.model = model

    def make(self) -> LikelihoodReranker:
        return LikelihoodReranker("listwise", self.model, max_doc_tokens=64, max_batch_tokens=512)


def test_scores_are_the_same_packed_and_one_at_a_time(model: LikelihoodModel) -> None:
    together = model.score(QUERY, PASSAGES, max_doc_tokens=64, max_batch_tokens=4096).scores
    apart = model.score(QUERY, PASSAGES, max_doc_tokens=64, max_batch_tokens=150).scores
    assert together == pytest.approx(apart, abs=1e-3 if model_is_float32(model) else 3e-2)


def test_a_score_is_the_mean_log_probability_of_the_query(likelihood_folder: Path) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = LikelihoodModel(str(likelihood_folder), device="cpu")
    model.ensure_loaded()
    model._decoder = decoder_of(model._model.float().get_decoder())
    plain = AutoModelForCausalLM.from_pretrained(likelihood_folder, dtype=torch.float32).eval()
    tokenizer = AutoTokenizer.from_pretrained(likelihood_folder)
    whole = tokenizer(f"Passage: {PASSAGES[0]}\n\nQuestion: {QUERY}").input_ids
    query = tokenizer(f" {QUERY}").input_ids
    head = whole[: -len(query)]
    assert whole == head + query, "the prompt in parts is not the prompt in one piece"
    found = model.score(QUERY, PASSAGES, max_doc_tokens=64, max_batch_tokens=4096)
    with torch.inference_mode():
        labels = torch.tensor([[-100] * len(head) + query])
        loss = plain(input_ids=torch.tensor([head + query]), labels=labels).loss
    assert found.scores[0] == pytest.approx(-float(loss), abs=1e-3)


def test_the_order_of_the_passages_does_not_matter(model: LikelihoodModel) -> None:
    forward = model.score(QUERY, PASSAGES, max_doc_tokens=64, max_batch_tokens=4096).scores
    backward = model.score(QUERY, PASSAGES[::-1], max_doc_tokens=64, max_batch_tokens=4096).scores
    assert backward[::-1] == pytest.approx(forward, abs=3e-2)


def test_cut_passages_are_reported_with_their_tokens(model: LikelihoodModel) -> None:
    seen = model.score(QUERY, PASSAGES, max_doc_tokens=16, max_batch_tokens=512).seen
    assert seen[1][0] == seen[1][1]
    assert seen[3][0] == 16 < seen[3][1]


@pytest.mark.parametrize("text", ["Passage: {passage}\n{query}", "{passage} Question: {query}"])
def test_a_prompt_has_a_space_before_what_is_put_in(model: LikelihoodModel, text: str) -> None:
    with pytest.raises(ValueError, match="behind a space"):
        likelihood_prompt(model._control, text)


@pytest.mark.parametrize("text", ["{query}", "{passage} {query}.", "{query} {passage} {query}"])
def test_a_prompt_must_end_in_the_query(model: LikelihoodModel, text: str) -> None:
    with pytest.raises(ValueError, match="ends in its one"):
        likelihood_prompt(model._control, text)


def test_a_query_without_tokens_scores_every_passage_the_same(model: LikelihoodModel) -> None:
    assert model.score("", PASSAGES, max_doc_tokens=64, max_batch_tokens=512).scores == (0.0,) * 4


def test_passages_of_several_requests_share_a_pass(model: LikelihoodModel) -> None:
    options = {"max_doc_tokens": 64, "max_batch_tokens": 4096}
    alone = [score for query in (QUERY, "bread") for score in model.score(query, PASSAGES, **options).scores]
    one, other = (next(model.scoring(query, PASSAGES, **options)) for query in (QUERY, "bread"))
    assert isinstance(one, Rows)
    assert isinstance(other, Rows)
    assert one.lane is other.lane
    together = one.lane.run([*one.rows, *other.rows])
    assert together == pytest.approx(alone, abs=1e-3 if model_is_float32(model) else 3e-2)


async def test_its_cost_is_estimated_from_what_it_read(model: LikelihoodModel) -> None:
    tier = LikelihoodReranker("listwise", model)
    await tier.score(Query(QUERY), candidates_of(PASSAGES), budget=Budget())
    few, many = (tier.estimate_cost(Query(QUERY), candidates_of(PASSAGES * n)) for n in (1, 4))
    assert 0 < few < many


def test_a_path_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ModelLoadError, match="found nothing at"):
        LikelihoodModel("/no/such/folder", device="cpu").ensure_loaded()


def model_is_float32(model: LikelihoodModel) -> bool:
    return bool(next(model._model.parameters()).dtype is torch.float32)
