"""MaxSim is the mean over a query's tokens of the best cosine among a document's, however the documents come."""

import numpy as np
import pytest
import torch
from sentence_transformers.multi_vector_encoder import maxsim as library_maxsim

from cascade.inference import maxsim as module
from cascade.inference.maxsim import Vectors, maxsim


def _unit(rows: int, seed: int = 0) -> Vectors:
    vectors = np.random.default_rng(seed).normal(size=(rows, 8)).astype(np.float32)
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), dtype=np.float32)


DOCUMENTS = [_unit(length, seed) for seed, length in enumerate((3, 1, 9, 4, 30))]


def test_it_equals_its_definition() -> None:
    query = _unit(5, 99)
    expected = [sum(max(float(q @ d) for d in document) for q in query) / 5 for document in DOCUMENTS]
    assert maxsim(query, DOCUMENTS).tolist() == pytest.approx(expected, abs=1e-6)


def test_it_equals_the_librarys() -> None:
    query = _unit(5, 99)
    theirs = library_maxsim([torch.from_numpy(query)], [torch.from_numpy(d) for d in DOCUMENTS], length_normalize=True)
    assert maxsim(query, DOCUMENTS).tolist() == pytest.approx(theirs[0].tolist(), abs=1e-6)


def test_a_document_scores_the_same_in_any_company(monkeypatch: pytest.MonkeyPatch) -> None:
    query = _unit(5, 99)
    together = maxsim(query, DOCUMENTS).tolist()
    assert [maxsim(query, [document])[0] for document in DOCUMENTS] == pytest.approx(together, abs=1e-6)
    monkeypatch.setattr(module, "_TOKENS_AT_A_TIME", 10)
    assert maxsim(query, DOCUMENTS).tolist() == pytest.approx(together, abs=1e-6)


def test_a_text_meets_itself_wholly() -> None:
    assert maxsim(DOCUMENTS[2], [DOCUMENTS[2]])[0] == pytest.approx(1.0, abs=1e-6)


def test_a_document_without_tokens_comes_last() -> None:
    opposite = -DOCUMENTS[1]
    empty = np.zeros((0, 8), dtype=np.float32)
    assert maxsim(DOCUMENTS[1], [opposite, empty, DOCUMENTS[1]]).tolist() == pytest.approx([-1.0, -1.0, 1.0], abs=1e-6)


def test_a_query_without_tokens_prefers_nothing() -> None:
    assert maxsim(np.zeros((0, 8), dtype=np.float32), DOCUMENTS[:2]).tolist() == [0.0, 0.0]


def test_a_longer_query_vector_counts_for_more() -> None:
    first, second = np.eye(8, dtype=np.float32)[:2]
    scores = maxsim(np.stack([3 * first, second]), [first[None], second[None]])
    assert scores.tolist() == pytest.approx([0.75, 0.25])


def test_nothing_to_score_is_no_error() -> None:
    assert maxsim(_unit(2), []).tolist() == []
