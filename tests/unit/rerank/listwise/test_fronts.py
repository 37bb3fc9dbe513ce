"""What of a prompt was read before is not read again, and nothing of an answer depends on it."""

from __future__ import annotations

from pathlib import Path

import pytest

from cascade.budget import Budget
from cascade.errors import ModelLoadError
from cascade.inference.stepwise import run_through
from cascade.rerank.listwise.decoder import decoder_of
from cascade.rerank.listwise.fronts import Fronts
from cascade.rerank.listwise.language_model import LanguageModel
from cascade.rerank.listwise.list_prompt import ListPrompt
from cascade.rerank.listwise.list_reader import ListReader
from cascade.rerank.listwise.memory import Memory
from cascade.rerank.listwise.order_reader import OrderReader
from cascade.rerank.listwise.permutation import PermutationReranker
from cascade.rerank.listwise.setwise import SetwiseReranker
from cascade.testing import candidates_of
from cascade.types import Query

QUERY = "what is the capital of france"
TEXTS = [
    "Stir the dough until it is smooth and even.",
    "Paris is the capital of France.",
    "Water boils at sea level.",
    "Add two eggs.",
    "Lyon is a city in France.",
    "The museum opens at nine.",
    "Heat the water.",
    "France is a country.",
]


@pytest.fixture(scope="module")
def model(tiny_lm: Path, tmp_path_factory: pytest.TempPathFactory) -> LanguageModel:
    """Of float32 models with random weights and room for a window, the first that passes both kinds' self-tests."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

    config = AutoConfig.from_pretrained(tiny_lm)
    config.max_position_embeddings = 2048
    for seed in range(100):
        folder = tmp_path_factory.mktemp(f"fronts-{seed}")
        torch.manual_seed(seed)
        network = AutoModelForCausalLM.from_config(config)  # type: ignore[no-untyped-call]  # the library does not type it
        network.save_pretrained(folder)
        AutoTokenizer.from_pretrained(tiny_lm).save_pretrained(folder)
        found = LanguageModel(str(folder), device="cpu")
        found.ensure_loaded()
        found._decoder = decoder_of(found._model.float().get_decoder())
        try:
            ListReader(found, "setwise", ListPrompt("setwise-v1"), most=4).ensure_ready()
            writer(found, plain=False)._ensure_ready()
        except ModelLoadError:
            continue
        return found
    raise AssertionError("no random model passed")


def writer(model: LanguageModel, *, plain: bool) -> OrderReader:
    prompt = ListPrompt("permutation-v1", [str(number) for number in range(1, 13)])
    return OrderReader(model, "permutation", prompt, most=4, constrained=True, plain=plain)


async def test_orders_are_the_same_written_token_by_token_from_whole_prompts(model: LanguageModel) -> None:
    found = []
    for plain in (True, False):
        tier = PermutationReranker("listwise", writer(model, plain=plain), window=4, stride=2, max_doc_tokens=16)
        found.append((await tier.score(Query(QUERY), candidates_of(TEXTS), budget=Budget())).values)
    assert found[0] == found[1]


async def test_comparisons_go_on_from_what_earlier_ones_began_with(
    model: LanguageModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    tier = SetwiseReranker("listwise", ListReader(model, "setwise", ListPrompt("setwise-v1"), most=4), top=5)
    found = await tier.score(Query(QUERY), candidates_of(TEXTS), budget=Budget())
    monkeypatch.setattr(Fronts, "longest", lambda self, ids: (None, 0))
    whole = await tier.score(Query(QUERY), candidates_of(TEXTS), budget=Budget())
    assert found.values == whole.values
    assert found.usage.tokens < 0.9 * whole.usage.tokens


def test_logits_are_those_of_whole_prompts(model: LanguageModel) -> None:
    ids = list(range(20, 120))
    fronts = Fronts(model.instructions(ids[:30]))
    assert fronts.longest(ids)[1] == 30
    first = run_through(model.generate(ids, max_new_tokens=1, fronts=fronts, front=60))
    assert fronts.longest([*ids[:70], 5])[1] == 60
    again = run_through(model.generate(ids, max_new_tokens=1, fronts=fronts))
    plain = run_through(model.generate(ids, max_new_tokens=1, fronts=fronts, plain=True))
    assert first.ids == again.ids == plain.ids


def test_fronts_are_few_and_each_is_held_once(model: LanguageModel) -> None:
    fronts = Fronts()
    for start in range(20, 80, 10):
        memory = Memory()
        memory.ids = list(range(start, start + 20))
        for _ in range(2):
            fronts.add(memory, 15)
    assert [fronts.longest(range(start, start + 20))[1] for start in range(20, 80, 10)] == [0, 0, 15, 15, 15, 15]
    assert fronts.longest([50, 51, 52])[1] == 0, "too short to be worth it"


def test_instructions_are_read_once(model: LanguageModel) -> None:
    assert model.instructions([5, 6, 7]) is model.instructions((5, 6, 7))
