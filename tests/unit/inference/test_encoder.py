"""The bi-encoder gives unit vectors that tell meaning apart."""

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
