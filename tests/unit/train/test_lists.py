"""Training lists hold an answer, mixed negatives and soft targets."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from cascade.train.data import Collection, Similarity, Triple, read_collection, read_triples
from cascade.train.lists import ListMix, build_lists


def _encode(texts: Sequence[str]) -> NDArray[np.float32]:
    """Word counts of a few letters: crude, but texts about the same thing are near."""
    counts = np.array([[1.0 + text.count(letter) for letter in "abcdefghijklmnop"] for text in texts])
    vectors: NDArray[np.float32] = (counts / np.linalg.norm(counts, axis=1, keepdims=True)).astype(np.float32)
    return vectors


@pytest.fixture
def material(beir_folder: Path) -> tuple[Collection, list[Triple], Similarity]:
    collection = read_collection(beir_folder)
    return collection, read_triples(beir_folder, collection), Similarity.of(collection, _encode)


def test_a_list_holds_its_answer_once_and_no_document_twice(
    material: tuple[Collection, list[Triple], Similarity],
) -> None:
    collection, triples, similarity = material
    for triple, item in zip(triples, build_lists(*material[:2], similarity, ListMix(), seed=1), strict=True):
        assert item.query == triple.query
        assert item.documents.count(collection.texts[triple.positive_ids[0]]) == 1
        assert len(set(item.documents)) == len(item.documents)


def test_targets_are_a_distribution_led_by_the_label(
    material: tuple[Collection, list[Triple], Similarity],
) -> None:
    collection, triples, similarity = material
    for triple, item in zip(triples, build_lists(*material[:2], similarity, ListMix(), seed=1), strict=True):
        assert sum(item.targets) == pytest.approx(1.0)
        best = item.documents[int(np.argmax(item.targets))]
        assert best == collection.texts[triple.positive_ids[0]]


def test_with_labels_alone_the_target_is_one_hot(
    material: tuple[Collection, list[Triple], Similarity],
) -> None:
    lists = build_lists(*material, ListMix(label_share=1.0), seed=1)
    assert all(sorted(item.targets)[-1] == 1.0 and sorted(item.targets)[0] == 0.0 for item in lists)


def test_the_mix_decides_how_many_negatives_there_are(
    material: tuple[Collection, list[Triple], Similarity],
) -> None:
    lists = build_lists(*material, ListMix(nearest=2, overlapping=1, random=1), seed=1)
    assert {len(item.documents) for item in lists} == {5}
    echoing = build_lists(*material, ListMix(nearest=0, overlapping=0, random=0, echoes=1), seed=1)
    questions = set(material[0].queries.values())
    assert all(len(questions & set(item.documents)) == 1 and item.query not in item.documents for item in echoing)
    missing = build_lists(*material, ListMix(nearest=0, overlapping=2, random=0, near_misses=1), seed=1)
    assert {len(item.documents) for item in missing} == {4}
    assert all(min(item.targets) == 0 for item in missing)
    halves = build_lists(*material, ListMix(nearest=0, overlapping=1, random=0.5), seed=1)
    assert {len(item.documents) for item in halves} == {2, 3}


def test_the_seed_decides_the_lists(material: tuple[Collection, list[Triple], Similarity]) -> None:
    assert build_lists(*material, ListMix(), seed=1) == build_lists(*material, ListMix(), seed=1)
    assert build_lists(*material, ListMix(), seed=1) != build_lists(*material, ListMix(), seed=2)
