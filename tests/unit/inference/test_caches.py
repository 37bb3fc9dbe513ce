"""What models remember: what was computed, for whom, by which model, and of nothing else."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from cascade.inference.caches import Caches, ModelCache
from cascade.inference.scored import Scored
from cascade.testing import HashedIds

ROOM = 200_000
TEXTS = st.sampled_from(["", "a", "b", "a b", "('a', 'b')", "\ud800", "\x00"])
REQUESTS = st.lists(
    st.tuples(
        st.integers(0, 1),
        st.sampled_from(["", "acme", "zenith"]),
        TEXTS,
        st.lists(TEXTS, max_size=4),
        st.sampled_from([(256,), (512,), ("256",)]),
    ),
    max_size=40,
)


def _score(*pair: object) -> float:
    return float(hash(pair) % 10_007) / 7


@given(REQUESTS, st.sampled_from([2_000, 20_000, ROOM]))
def test_a_score_that_is_remembered_is_the_one_that_was_computed(
    requests: list[tuple[int, str, str, list[str], tuple[object, ...]]], room: int
) -> None:
    caches = Caches(room)
    models = [ModelCache(caches), ModelCache(caches)]
    for model, account, query, passages, settings in requests:
        computed = [_score(model, account, query, passage, settings) for passage in passages]
        memory = models[model].of(account)
        assert len(memory.without_score(query, passages, settings)) <= len(passages)
        known = memory.scores(query, passages, settings)
        assert known.cached == len(passages) - len(known.missing)
        new = [computed[place] for place in known.missing]
        known.add(Scored(tuple(new), 0, tuple((len(passages[p]), len(passages[p]) + 1) for p in known.missing)))
        assert known.scores == tuple(computed)
        assert known.seen == [(len(passage), len(passage) + 1) for passage in passages]
        assert all(cache.stats.bytes <= cache.max_bytes for cache in caches)


def test_all_caches_together_keep_to_the_room_there_is() -> None:
    assert sum(cache.max_bytes for cache in Caches(1_000_000)) == 1_000_000


@pytest.mark.parametrize("other", ["another model", "another account", "another query", "another length"])
def test_what_differs_in_anything_is_not_remembered(other: str) -> None:
    caches = Caches(ROOM)
    model = ModelCache(caches)
    model.of("acme").scores("q", ["text"], (256,)).add(Scored((1.5,), 3, ((1, 1),)))
    model.of("acme").keep_query(np.ones(3, dtype=np.float32), "q", 32)
    assert model.of("acme").scores("q", ["text"], (256,)).scores == (1.5,)
    assert model.of("acme").query("q", 32) is not None
    whose = ModelCache(caches) if other == "another model" else model
    memory = whose.of("zenith" if other == "another account" else "acme")
    query, length = "p" if other == "another query" else "q", 1 if other == "another length" else 0
    assert memory.scores(query, ["text"], (256 + length,)).missing == [0]
    assert memory.without_score(query, ["text"], (256 + length,)) == [0]
    assert memory.query(query, 32 + length) is None


def test_a_changed_document_is_scored_anew_and_the_others_are_not() -> None:
    memory = ModelCache(Caches(ROOM)).of("")
    memory.scores("q", ["one", "two"], (256,)).add(Scored((1.0, 2.0), 6, ((1, 1), (1, 1))))
    assert memory.scores("q", ["one", "two!"], (256,)).missing == [1]
    assert memory.without_score("q", ["one", "two!"], (256,)) == [1]


def test_the_vectors_of_a_query_cannot_be_changed_once_they_are_remembered() -> None:
    memory = ModelCache(Caches(ROOM)).of("")
    vectors = np.ones(3, dtype=np.float32)
    memory.keep_query(vectors, "q")
    with pytest.raises(ValueError, match="read-only"):
        vectors[0] = 2.0


def test_the_vectors_of_a_query_are_remembered_without_the_batch_that_they_were_made_in() -> None:
    caches = Caches(ROOM)
    memory = ModelCache(caches).of("acme")
    batch = torch.ones(100, 50).numpy()
    memory.keep_query(batch[:2], "q")
    kept = memory.query("q")
    assert kept is not None
    assert np.array_equal(kept, batch[:2])
    assert not np.shares_memory(kept, batch)
    assert 2 * 50 * 4 < caches.query_vectors.stats.bytes < batch.nbytes


def test_token_ids_are_those_of_the_tokenizer_and_made_once_for_all_models_that_read_them() -> None:
    caches, tokeniser = Caches(ROOM), HashedIds()
    for model in (ModelCache(caches), ModelCache(caches)):
        found = model.of("acme").tokenised(tokeniser, ["one two", "three", "one two"])
        assert [text.ids.tolist() for text in found] == [
            text.ids.tolist() for text in HashedIds()(["one two", "three", "one two"])
        ]
    assert tokeniser.made == ["one two", "three", "one two"]
    ModelCache(caches).of("zenith").tokenised(tokeniser, ["three"])
    assert tokeniser.made[3:] == ["three"]
    ModelCache(caches).of("acme").tokenised(another := HashedIds("another"), ["three"])
    assert another.made == ["three"]


def test_ids_of_a_tokenizer_that_cannot_be_compared_serve_one_model_alone() -> None:
    caches, tokeniser = Caches(ROOM), HashedIds("")
    one, other = ModelCache(caches).of(""), ModelCache(caches).of("")
    for memory in (one, other, one):
        memory.tokenised(tokeniser, ["text"])
    assert tokeniser.made == ["text", "text"]


def test_without_caches_nothing_is_remembered() -> None:
    memory, tokeniser = ModelCache(None).of("acme"), HashedIds()
    known = memory.scores("q", ["text"], (256,))
    known.add(Scored((1.5,), 3, ((1, 2),)))
    assert (known.scores, known.seen, known.cached) == ((1.5,), [(1, 2)], 0)
    assert memory.scores("q", ["text"], (256,)).missing == [0]
    assert list(memory.without_score("q", ["text"], (256,))) == [0]
    memory.keep_query(vectors := np.ones(3, dtype=np.float32), "q")
    assert memory.query("q") is None
    assert vectors.flags.writeable
    assert len(memory.tokenised(tokeniser, ["a"]) + memory.tokenised(tokeniser, ["a"])) == len(tokeniser.made) == 2


def test_scores_that_depend_on_more_than_can_be_told_are_not_remembered() -> None:
    memory = ModelCache(Caches(ROOM)).of("")
    memory.scores("q", ["text"], None).add(Scored((1.5,), 3, ((1, 2),)))
    assert memory.scores("q", ["text"], None).missing == [0]
