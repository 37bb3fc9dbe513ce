"""The bi-encoder gives unit vectors that tell meaning apart."""

import asyncio
import threading

import numpy as np
import pytest

from cascade.budget import Budget
from cascade.inference.encoder import Encoder


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    encoder = Encoder("embedded:all-minilm-l6-v2", device="cpu")
    encoder.ensure_loaded()
    return encoder


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


async def test_a_passage_that_is_longer_than_the_encoder_reads_is_told(encoder: Encoder) -> None:
    encoded = await encoder.encode_passages(["short one", "word " * 300], budget=Budget())
    room = len(encoder._model.tokenizer("word " * 300, truncation=True)["input_ids"]) - 2
    assert encoded.seen == ((2, 2), (room, 300))
    assert room < 300


async def test_passages_that_nobody_waits_for_are_encoded_no_further(encoder: Encoder) -> None:
    entered, released = threading.Event(), threading.Event()

    def hold() -> None:
        entered.set()
        assert released.wait(10)

    batches: list[int] = []
    watched = Encoder("embedded:all-minilm-l6-v2", device="cpu", on_batch=lambda _m, items, _t: batches.append(items))
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
