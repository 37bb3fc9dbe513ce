"""Eight bits keep a token's vector within half a step in each component."""

import numpy as np
import pytest

from cascade.inference.maxsim import maxsim
from cascade.inference.stored_vectors import quantised, restored


def _unit(rows: int, seed: int) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    vectors = np.random.default_rng(seed).normal(size=(rows, 96)).astype(np.float32)
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), dtype=np.float32)


def test_every_component_comes_back_within_half_a_step() -> None:
    vectors = _unit(50, 1)
    stored = quantised(vectors, 48, 60)
    assert stored.vectors.dtype == np.int8
    assert (stored.tokens_seen, stored.tokens_total) == (48, 60)
    assert (np.abs(restored(stored) - vectors) <= stored.scale[:, None] * 0.51).all()


def test_a_scale_fits_into_two_bytes_without_loss() -> None:
    scale = quantised(_unit(50, 2), 50, 50).scale
    assert (scale.astype(np.float16).astype(np.float32) == scale).all()


def test_vectors_of_nothing_stay_nothing() -> None:
    assert restored(quantised(np.zeros((2, 4), dtype=np.float32), 2, 2)).tolist() == [[0.0] * 4] * 2
    assert restored(quantised(np.zeros((0, 4), dtype=np.float32), 0, 0)).shape == (0, 4)


def test_scores_of_stored_vectors_are_those_of_the_vectors_nearly() -> None:
    query, documents = _unit(9, 3), [_unit(40, seed) for seed in range(10, 40)]
    exact = maxsim(query, documents)
    kept = maxsim(query, [restored(quantised(document, 40, 40)) for document in documents])
    assert kept == pytest.approx(exact, abs=2e-3)
