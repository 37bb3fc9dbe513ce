"""MaxSim is the mean over a query's tokens of the best cosine among a document's, however the documents come."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from sentence_transformers.multi_vector_encoder import maxsim as library_maxsim

from cascade.inference import maxsim as module
from cascade.inference import maxsim_kernel
from cascade.inference.maxsim import Vectors, maxsim
from cascade.inference.stored_vectors import quantised, restored


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


@pytest.mark.usefixtures("way")
def test_a_document_scores_the_same_in_any_company(monkeypatch: pytest.MonkeyPatch) -> None:
    query = _unit(5, 99)
    together = maxsim(query, DOCUMENTS).tolist()
    assert [maxsim(query, [document])[0] for document in DOCUMENTS] == pytest.approx(together, abs=1e-6)
    monkeypatch.setattr(module, "_TOKENS_AT_A_TIME", 10)
    assert maxsim(query, DOCUMENTS).tolist() == pytest.approx(together, abs=1e-6)


@pytest.fixture(params=["compiled", "multiplied"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both ways to compute it, on a processor that has the instructions for the first."""
    if request.param == "multiplied":
        monkeypatch.setattr(maxsim_kernel, "processor_can", lambda: False)


@pytest.mark.parametrize("tokens", [1, 32, 70])
@pytest.mark.usefixtures("way")
def test_a_query_of_any_length_is_compared_as_a_whole(tokens: int) -> None:
    query = 3 * _unit(tokens, 99)
    expected = [(query @ document.T).max(axis=1).sum() / (3 * tokens) for document in DOCUMENTS]
    assert maxsim(query, DOCUMENTS).tolist() == pytest.approx(expected, abs=1e-5)


@pytest.mark.usefixtures("way")
def test_stored_vectors_are_compared_as_if_they_were_restored() -> None:
    stored = [quantised(document, len(document), len(document)) for document in DOCUMENTS]
    expected = maxsim(_unit(40, 99), [restored(one) for one in stored]).tolist()
    assert maxsim(_unit(40, 99), stored).tolist() == pytest.approx(expected, abs=5e-3)
    mixed = maxsim(_unit(40, 99), [stored[0], *DOCUMENTS[1:3], *stored[3:]]).tolist()
    assert mixed == pytest.approx(expected, abs=1e-2)


def test_threads_share_the_documents_and_change_no_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_FEW", 0)
    documents = [_unit(1 + seed % 7, seed) for seed in range(50)]
    alone = maxsim(_unit(5, 99), documents)
    for threads in (2, 3, 64):
        assert np.array_equal(maxsim(_unit(5, 99), documents, threads=threads), alone)


def test_vectors_of_other_dimensions_are_refused() -> None:
    with pytest.raises(ValueError, match="found vectors of 4 dimensions, expected the query's 8"):
        maxsim(_unit(2), [np.ones((3, 4), dtype=np.float32)])
    stored = quantised(_unit(3), 3, 3)
    with pytest.raises(ValueError, match="found 2 scales of 3 stored vectors"):
        maxsim(_unit(2), [replace(stored, scale=stored.scale[:2])])


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
