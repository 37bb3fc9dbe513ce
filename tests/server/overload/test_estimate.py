"""What a cascade will have its models read is known from its configuration and the request's texts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cascade.build import build_cascade
from cascade.config import parse
from cascade.models import ModelKey, Models
from cascade.retrieve import InlineDocuments
from cascade.stages import Corpus, StoredVectors
from cascade.trace import StageStatus, StageTrace
from cascade.types import Document
from cascade_server.overload.estimate import Estimates, Work

TEXT = "x" * 4 * 99
"""A hundred tokens."""


class NoVectors:
    """Token vectors of a model, of no document."""

    reference = "embedded:late-interaction"

    def fetch(self, doc_ids: object) -> dict[str, StoredVectors]:
        """None."""
        return {}


def works(stages: str, *, documents: int = 0, size: int = 1000, stored: bool = False) -> tuple[Work, ...]:
    """The work of a cascade for a query of 25 tokens, with so many documents of 100, or over an index of `size`."""
    config = parse(stages, "c")
    inline = [Document(str(i), TEXT) for i in range(documents)]
    corpus = Corpus(
        {},
        InlineDocuments(inline),
        size=documents or size,
        whole=documents > 0,
        token_vectors=NoVectors() if stored else None,
    )
    return Estimates().of(("red", "c"), config, "q" * 4 * 24, inline, corpus)


def cascade(tier: str) -> str:
    return f"{{retrieve: [{{kind: bm25}}], tiers: [{{{tier}}}]}}"


def test_words_and_orders_that_need_no_model_cost_nothing() -> None:
    assert works(cascade("kind: identity, depth: 5"), documents=10) == ()


@pytest.mark.parametrize(
    ("tier", "tokens", "model"),
    [
        ("kind: cross_encoder, depth: 10", 10 * 125, ModelKey("cross_encoder", "embedded:cross-encoder")),
        (
            "kind: cross_encoder, depth: 10, max_length: 64",
            10 * 64,
            ModelKey("cross_encoder", "embedded:cross-encoder"),
        ),
        ("kind: late_interaction, depth: 10", 25 + 10 * 100, ModelKey("multi_vector", "embedded:late-interaction")),
        ("kind: joint, depth: 10", 25 + 10 * 100, ModelKey("joint", "embedded:listwise")),
        ("kind: likelihood, depth: 10", 10 * 125, ModelKey("likelihood", "embedded:smollm2-135m-instruct")),
        (
            "kind: logits, depth: 40, window: 20, stride: 10",
            25 + 40 * 100 * 2 * 2,
            ModelKey("language_model", "embedded:smollm2-135m-instruct"),
        ),
        (
            "kind: permutation, depth: 20, window: 20, stride: 10",
            25 + 20 * 100,
            ModelKey("language_model", "embedded:smollm2-135m-instruct"),
        ),
        (
            "kind: permutation, depth: 10, endpoint: {url: 'http://localhost/v1', model: m}",
            25 + 10 * 100,
            None,
        ),
        (
            "kind: likelihood, depth: 10, endpoint: {url: 'http://localhost/v1', model: m}",
            10 * 125,
            None,
        ),
        (
            "kind: joint, depth: 10, endpoint: {url: 'http://localhost/v1', model: m}",
            25 + 10 * 100,
            None,
        ),
    ],
)
def test_every_kind_of_tier_has_its_way_of_reading(tier: str, tokens: float, model: ModelKey | None) -> None:
    (work,) = works(cascade(tier), documents=50)
    assert work.tokens == pytest.approx(tokens)
    assert work.model == model


@pytest.mark.parametrize("kind", ["setwise", "tournament"])
def test_what_reads_documents_several_times_costs_more_than_once(kind: str) -> None:
    (work,) = works(cascade(f"kind: {kind}, depth: 20"), documents=50)
    assert work.tokens > 2 * 20 * 100


@pytest.mark.parametrize("kind", ["cross_encoder", "late_interaction", "joint", "likelihood"])
def test_a_tier_waits_for_the_model_that_runs_it_and_for_no_other(kind: str) -> None:
    config = parse(cascade(f"kind: {kind}, depth: 5, backend: torch-fp32"), "c")
    models = Models()
    build_cascade("c", config, models)
    (work,) = works(cascade(f"kind: {kind}, depth: 5, backend: torch-fp32"))
    assert work.model is not None
    assert models.load(work.model) is not None


def test_documents_of_a_request_are_all_encoded_and_those_of_an_index_are_not() -> None:
    stages = "retrieve: [{kind: dense, depth: 10}]"
    (inline,), (indexed,) = works(stages, documents=50), works(stages)
    assert inline.tokens == pytest.approx(25 + 50 * 100)
    assert indexed.tokens == pytest.approx(25)
    assert not inline.tier


def test_token_vectors_that_an_index_holds_are_not_read_again() -> None:
    (work,) = works(cascade("kind: late_interaction, depth: 10"), stored=True)
    assert work.tokens == pytest.approx(25)
    (work,) = works(cascade("kind: late_interaction, depth: 10, model: other"), stored=True)
    assert work.tokens > 1000


def test_there_are_no_more_candidates_than_documents() -> None:
    (work,) = works(cascade("kind: cross_encoder, depth: 100"), documents=3)
    assert work.depth == 3


def test_a_tiers_own_limit_is_in_seconds() -> None:
    (work,) = works(cascade("kind: cross_encoder, depth: 10, max_time_ms: 250"))
    assert work.most_seconds == 0.25


@given(
    st.floats(0, 1e4), st.floats(0, 1e4), st.integers(1, 1000), st.floats(0.01, 100), st.floats(0, 1e7, allow_nan=False)
)
def test_the_depth_for_some_tokens_needs_no_more_of_them(
    fixed: float, each: float, depth: int, ratio: float, tokens: float
) -> None:
    work = Work("t", None, fixed, each, depth, ratio=ratio)
    found = work.depth_for(tokens)
    assert 0 <= found <= depth
    if found:
        assert work.at(found).tokens <= tokens * (1 + 1e-9) + 1e-6
    if found < depth and each > 1e-3 and tokens > ratio * fixed:
        assert work.at(found + 1).tokens > tokens * (1 - 1e-9) - 1e-6


def test_no_candidates_cost_nothing() -> None:
    assert Work("t", None, 25.0, 100.0, 10).at(0).tokens == 0


def test_a_server_remembers_a_bounded_number_of_lengths() -> None:
    estimates = Estimates()
    config = parse(cascade("kind: cross_encoder, depth: 10"), "c")
    corpus = Corpus({}, InlineDocuments([]), size=10)
    found = (StageTrace("cross_encoder", "cross_encoder", StageStatus.COMPLETED, tokens=1),)
    for number in range(5000):
        key = ("red", "c", str(number))
        estimates.learn(key, estimates.of(key, config, "q", [], corpus), found)
    first, last = (estimates.of(("red", "c", number), config, "q", [], corpus)[0].ratio for number in ("0", "4999"))
    assert first == 1.0
    assert last < 1.0
