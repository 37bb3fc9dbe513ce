"""A language model in this process writes orders: constrained to them, or free and repaired."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cascade.budget import Budget
from cascade.errors import ModelLoadError
from cascade.inference.stepwise import Stepwise, run_through
from cascade.rerank.listwise.language_model import LanguageModel
from cascade.rerank.listwise.list_prompt import ListPrompt
from cascade.rerank.listwise.order_reader import OrderReader, order_grammar
from cascade.rerank.listwise.permutation import PermutationReranker
from cascade.testing import FakeClock, RerankerConformance, candidates_of
from cascade.types import Query

QUERY = "what is the capital of france"
TEXTS = ["Stir the dough.", "Paris is the capital of France.", "", "Water boils at sea level. " * 20, "Add two eggs."]


def prompt(most: int) -> ListPrompt:
    return ListPrompt("permutation-v1", [str(number) for number in range(1, most + 1)])


def tier(model: LanguageModel, *, window: int = 3, stride: int = 2, constrained: bool = True) -> PermutationReranker:
    reader = OrderReader(model, "permutation", prompt(window), most=window, constrained=constrained)
    return PermutationReranker("listwise", reader, window=window, stride=stride, max_doc_tokens=16)


@pytest.fixture(scope="module")
def folders(tiny_lm: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Two language models with random weights, each likes what the other dislikes: one passes the self-test."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    config = AutoModelForCausalLM.from_pretrained(tiny_lm).config
    config.max_position_embeddings = 1024
    torch.manual_seed(1)
    network = AutoModelForCausalLM.from_config(config)
    passed: list[Path] = []
    refused: list[Path] = []
    for name in ("likes", "dislikes"):
        folder = tmp_path_factory.mktemp(name)
        network.save_pretrained(folder)
        AutoTokenizer.from_pretrained(tiny_lm).save_pretrained(folder)
        reader = OrderReader(
            LanguageModel(str(folder), device="cpu"), "permutation", prompt(3), most=3, constrained=True
        )
        try:
            reader._ensure_ready()
        except ModelLoadError:
            refused.append(folder)
        else:
            passed.append(folder)
        network.get_output_embeddings().weight.data.neg_()
    return passed[0], refused[0]


@pytest.fixture(scope="module")
def model(folders: tuple[Path, Path]) -> LanguageModel:
    loaded = LanguageModel(str(folders[0]), device="cpu")
    loaded.ensure_loaded()
    return loaded


class TestPermutationReranker(RerankerConformance):
    @pytest.fixture(autouse=True)
    def _take(self, model: LanguageModel) -> None:
        self.model = model

    def make(self) -> PermutationReranker:
        return tier(self.model)


async def test_a_constrained_model_writes_permutations_and_nothing_is_repaired(model: LanguageModel) -> None:
    scores = await tier(model).score(Query(QUERY), candidates_of(TEXTS), budget=Budget())
    assert sorted(scores.values) == [1, 2, 3, 4, 5]
    assert scores.usage.repairs == 0
    assert scores.usage.incomplete == ""
    assert scores.usage.tokens > 0


async def test_documents_are_cut_and_told_of(model: LanguageModel) -> None:
    scores = await tier(model).score(Query(QUERY), candidates_of(TEXTS), budget=Budget())
    (cut,) = scores.usage.truncations
    assert (cut.doc_id, cut.tokens_seen) == ("d3", 16)
    assert cut.tokens_total > 16


def test_a_free_model_that_writes_no_order_is_refused(model: LanguageModel) -> None:
    reader = OrderReader(model, "permutation", prompt(3), most=3, constrained=False)
    with pytest.raises(ModelLoadError, match="set constrained to true"):
        reader._ensure_ready()


def test_what_a_free_model_writes_is_repaired(model: LanguageModel) -> None:
    reader = OrderReader(model, "permutation", prompt(3), most=3, constrained=False)
    ids = reader.ids([5], [[6], [7], [8]])
    order, written = run_through(reader.write(ids, 3))
    assert sorted(order.positions) == [0, 1, 2]
    assert order.repairs.missing > 0
    assert written.ids
    assert written.seconds > 0


def test_a_model_that_orders_the_known_pair_wrongly_is_refused(folders: tuple[Path, Path]) -> None:
    refused = LanguageModel(str(folders[1]), device="cpu")
    with pytest.raises(ModelLoadError, match=r"kind permutation .*expected it above"):
        OrderReader(refused, "permutation", prompt(3), most=3, constrained=True)._ensure_ready()


def test_more_passages_than_the_model_can_read_are_refused(model: LanguageModel) -> None:
    reader = OrderReader(model, "permutation", prompt(200), most=200, constrained=True)
    with pytest.raises(ModelLoadError, match="too few for 200 passages"):
        reader._ensure_ready()


async def test_when_time_runs_out_the_order_so_far_is_the_answer(model: LanguageModel) -> None:
    clock = FakeClock()
    ready = tier(model, window=2, stride=1)
    await ready.warm_up()
    write = model.generate

    def slow(*args: Any, **options: Any) -> Stepwise[list[int]]:
        clock.advance(20.0)
        return write(*args, **options)

    model.generate = slow  # type: ignore[method-assign]  # time passes with every list
    try:
        scores = await ready.score(Query(QUERY), candidates_of(TEXTS), budget=Budget(50.0, clock))
    finally:
        del model.generate
    assert sorted(scores.values) == [1, 2, 3, 4, 5]
    assert "time ran out when 2 lists of documents were read" in scores.usage.incomplete


async def test_its_cost_counts_what_is_written(model: LanguageModel) -> None:
    ready = tier(model)
    await ready.score(Query(QUERY), candidates_of(TEXTS), budget=Budget())
    few, many = (ready.estimate_cost(Query(QUERY), candidates_of(TEXTS * n)) for n in (1, 4))
    assert 0 < few < many


def test_identifiers_are_told_apart_by_their_first_tokens(model: LanguageModel) -> None:
    grammar, shared = order_grammar(model, prompt(12), 12)
    firsts = {ids[0] for ids in grammar.identifiers}
    assert len(firsts) == 9
    assert model.chat.read([*shared, *grammar.identifiers[11]]) == " 12"


async def test_smollm2_writes_permutations() -> None:
    """The real path, on the embedded language model."""
    real = LanguageModel("embedded:smollm2-135m-instruct", device="cpu")
    ready = tier(real, window=3, stride=2)
    await ready.warm_up()
    scores = await ready.score(Query(QUERY), candidates_of(TEXTS), budget=Budget())
    await real.aclose()
    assert sorted(scores.values) == [1, 2, 3, 4, 5]
    assert scores.usage.repairs == 0
