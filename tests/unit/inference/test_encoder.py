"""The bi-encoder gives unit vectors that tell meaning apart."""

import asyncio
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.base.modules import Dense, Module, Normalize, Transformer
from sentence_transformers.sentence_transformer.modules import Pooling

from cascade.budget import Budget
from cascade.errors import ModelLoadError
from cascade.inference.encoder import Encoder
from cascade.weights import resolve_model


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    encoder = Encoder("embedded:all-minilm-l6-v2", device="cpu", backend="torch-fp32")
    encoder.ensure_loaded()
    return encoder


@pytest.fixture(scope="module")
def library() -> SentenceTransformer:
    return SentenceTransformer(resolve_model("embedded:all-minilm-l6-v2"), device="cpu")


_TEXTS = ["Bread is baked.", "word " * 300, "", "Flour and water make dough, and an oven does the rest."]


async def test_vectors_equal_the_librarys_own(encoder: Encoder, library: SentenceTransformer) -> None:
    expected = library.encode_document(_TEXTS, normalize_embeddings=True, show_progress_bar=False)
    assert encoder.encode_documents(_TEXTS) == pytest.approx(expected, abs=1e-5)
    query, usage = await encoder.encode_query("how is bread made", budget=Budget())
    assert query == pytest.approx(library.encode_query("how is bread made", show_progress_bar=False), abs=1e-5)
    assert (usage.tokens, usage.backend) == (4, "torch-fp32")


def _made_of(tiny_bert: Path, folder: Path, pooling: Any, *layers: Module, **options: Any) -> SentenceTransformer:
    parts = [Transformer(str(tiny_bert)), pooling, *layers]
    model = SentenceTransformer(modules=parts, device="cpu", **options)
    model.max_seq_length = 12
    model.save(str(folder), create_model_card=False)
    return model


@pytest.mark.parametrize("deterministic", [False, True])
@pytest.mark.parametrize("pooling", ["mean", "cls", "max", "lasttoken", ["cls", "mean"], "weightedmean"])
def test_any_pooling_dense_layer_and_prompt_gives_the_librarys_vectors(
    tiny_bert: Path, tmp_path: Path, pooling: Any, deterministic: bool
) -> None:
    torch.manual_seed(0)
    wide = 32 if isinstance(pooling, list) else 16
    layers = [Dense(wide, 8), Normalize()] if pooling != "cls" else []
    library = _made_of(
        tiny_bert,
        tmp_path,
        Pooling(16, pooling_mode=pooling),
        *layers,
        prompts={"query": "what is ", "document": "some facts about ", "passage": "tea "},
    )
    texts = ["milk", "rain and iron and wheat", "salt " * 30, "glass wool"]
    encoder = Encoder(str(tmp_path), device="cpu", backend="torch-fp32", deterministic=deterministic)
    vectors = encoder.encode_documents(texts)
    expected = library.encode_document(texts, normalize_embeddings=True, show_progress_bar=False)
    assert encoder.dimensions == vectors.shape[1]
    assert vectors == pytest.approx(expected, abs=1e-5)
    alone = np.concatenate([encoder.encode_documents([text]) for text in texts])
    assert np.array_equal(alone, vectors) if deterministic else alone == pytest.approx(vectors, abs=1e-5)
    seen = asyncio.run(_seen(encoder, texts))
    assert seen == ((1, 1), (5, 5), (12 - 2 - 3, 30), (2, 2))


async def _seen(encoder: Encoder, texts: list[str]) -> tuple[tuple[int, int], ...]:
    try:
        return (await encoder.encode_passages(texts, budget=Budget())).seen
    finally:
        await encoder.aclose()


def test_a_model_that_is_put_together_in_another_way_has_no_other_backend(tiny_bert: Path, tmp_path: Path) -> None:
    _made_of(tiny_bert, tmp_path, Pooling(16, pooling_mode="weightedmean"))
    with pytest.raises(ModelLoadError, match="found the backend 'torch-bf16', expected 'torch-fp32' or 'auto'"):
        Encoder(str(tmp_path), device="cpu", backend="torch-bf16").ensure_loaded()


async def test_a_query_lies_nearest_to_what_it_is_about(encoder: Encoder) -> None:
    documents = encoder.encode_documents(["A recipe for bread.", "The laws of thermodynamics."])
    query, usage = await encoder.encode_query("how do I bake a loaf", budget=Budget())
    assert documents @ query == pytest.approx(sorted(documents @ query, reverse=True))
    assert usage.tokens > 2


def test_vectors_have_unit_length_and_the_promised_dimensions(encoder: Encoder) -> None:
    vectors = encoder.encode_documents(["one", "two words", ""])
    assert vectors.shape == (3, encoder.dimensions)
    assert vectors.dtype == np.float32
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(1.0, abs=1e-5)


def test_no_documents_give_no_vectors(encoder: Encoder) -> None:
    assert encoder.encode_documents([]).shape == (0, encoder.dimensions)


async def test_passages_have_the_vectors_of_documents_in_their_order(encoder: Encoder) -> None:
    passages = ["word " * (n % 7) + str(n) for n in range(70)]
    encoded = await encoder.encode_passages(passages, budget=Budget())
    assert encoded.vectors == pytest.approx(encoder.encode_documents(passages), abs=1e-5)


async def test_a_passage_that_is_longer_than_the_encoder_reads_is_told(
    encoder: Encoder, library: SentenceTransformer
) -> None:
    encoded = await encoder.encode_passages(["short one", "word " * 300], budget=Budget())
    room = len(library.tokenizer("word " * 300, truncation=True)["input_ids"]) - 2
    assert encoded.seen == ((2, 2), (room, 300))
    assert room < 300


async def test_passages_that_nobody_waits_for_are_encoded_no_further(encoder: Encoder) -> None:
    entered, released = threading.Event(), threading.Event()

    def hold() -> None:
        entered.set()
        assert released.wait(10)

    batches: list[int] = []
    watched = Encoder(
        "embedded:all-minilm-l6-v2",
        device="cpu",
        backend="torch-fp32",
        on_batch=lambda _m, items, _t: batches.append(items),
    )
    watched.ensure_loaded()
    batches.clear()
    held = asyncio.create_task(watched.queue.run(hold, budget=Budget()))
    await asyncio.to_thread(entered.wait, 10)
    task = asyncio.create_task(watched.encode_passages(["word"] * 100, budget=Budget()))
    await asyncio.sleep(0)
    task.cancel()
    released.set()
    await held
    await watched.aclose()
    assert batches == []
