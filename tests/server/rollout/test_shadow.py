"""Copies of requests are ranked by another version without anybody noticing but the metrics."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from cascade.budget import Account, Budget, Priority
from cascade.build import Models, bind_documents, build_cascade
from cascade.config import CascadeConfig, parse
from cascade.stages import Corpus, Retrieval
from cascade.types import Document, Query, Ranking
from cascade_server.control.state import Rollout
from cascade_server.convert.requests import RankQuery
from cascade_server.metrics import Metrics
from cascade_server.rollout.serving import Wired
from cascade_server.rollout.shadow import Copy, Shadows

DOCUMENTS = tuple(Document(f"d{i}", text=text) for i, text in enumerate(["red brick", "red red apple", "pear"]))
WORDS = parse("retrieve: [{kind: bm25}]", "words")
GIVEN = parse("retrieve: [{kind: given}]", "given")
ORDER = ("d0", "d1", "d2")


class Waiting:
    """A retriever that waits until it is told, and remembers on whose account it was asked."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.go_on = asyncio.Event()
        self.asked: list[Account] = []

    async def retrieve(self, query: Query, *, depth: int, budget: Budget) -> Retrieval:
        self.asked.append(budget.account)
        await self.go_on.wait()
        return Retrieval(Ranking.from_scores([(doc_id, -float(i)) for i, doc_id in enumerate(ORDER)], self.name))


def bind(config: CascadeConfig) -> Corpus:
    return bind_documents(config, DOCUMENTS, Models())


def waiting(retriever: Waiting) -> Callable[[CascadeConfig], Corpus]:
    def held(config: CascadeConfig) -> Corpus:
        corpus = bind(config)
        return Corpus({config.retrieve[0].name: retriever}, corpus.documents, size=corpus.size, whole=True)

    return held


def copy(config: CascadeConfig = GIVEN, ranked: tuple[str, ...] | None = ORDER, **changed: Any) -> Copy:
    asked = RankQuery("search", Query("red apple"), "", DOCUMENTS, 10, False, False, None, None)
    shadow = Wired(build_cascade("search", config, Models()), 2)
    return Copy(
        **{"account": Account("acme", 2.0), "asked": asked, "bind": bind, "shadow": shadow, "ranked": ranked} | changed
    )


def shadows(**options: Any) -> tuple[Shadows, Metrics]:
    metrics = Metrics()
    metrics.rollouts.rolled_out("acme", Rollout("search", 1, shadow=2, shadow_percent=100.0))
    return Shadows(metrics.rollouts, **{"busy": lambda: False, "prices": {}} | options), metrics


def value(metrics: Metrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(name, {"tenant": "acme", "cascade": "search"} | labels)


@pytest.mark.parametrize(("config", "overlap", "rbo"), [(GIVEN, 1.0, 1.0), (WORDS, 1.0, 0.1)])
async def test_a_copy_is_compared_with_the_answer(config: CascadeConfig, overlap: float, rbo: float) -> None:
    made, metrics = shadows()
    made.offer(copy(config))
    await made.idle()
    assert value(metrics, "cascade_shadow_overlap_sum") == overlap
    assert value(metrics, "cascade_shadow_rbo_count") == 1
    found = value(metrics, "cascade_shadow_rbo_sum")
    assert found is not None
    assert (found == 1.0) is (rbo == 1.0)
    assert value(metrics, "cascade_rollout_duration_seconds_count", version="shadow") == 1


async def test_work_is_done_at_the_lowest_priority() -> None:
    made, _ = shadows()
    retriever = Waiting("given")
    retriever.go_on.set()
    made.offer(copy(bind=waiting(retriever)))
    await made.idle()
    assert retriever.asked == [Account("acme", 2.0, Priority.SHADOW)]


async def test_copies_beyond_the_most_are_dropped_and_counted() -> None:
    made, metrics = shadows(most=2)
    retriever = Waiting("given")
    for _ in range(5):
        made.offer(copy(bind=waiting(retriever)))
    retriever.go_on.set()
    await made.idle()
    assert len(retriever.asked) == 2
    assert value(metrics, "cascade_shadow_lost_total", reason="full") == 3
    made.offer(copy())
    await made.idle()
    assert value(metrics, "cascade_shadow_overlap_count") == 3


async def test_nothing_is_copied_while_the_server_is_busy() -> None:
    made, metrics = shadows(busy=lambda: True)
    made.offer(copy())
    await made.idle()
    assert value(metrics, "cascade_shadow_lost_total", reason="busy") == 1
    assert value(metrics, "cascade_shadow_overlap_count") is None


async def test_an_answer_that_was_degraded_says_nothing_about_versions() -> None:
    made, metrics = shadows()
    made.offer(copy(ranked=None))
    await made.idle()
    assert value(metrics, "cascade_shadow_lost_total", reason="degraded") == 1
    assert value(metrics, "cascade_shadow_overlap_count") is None


async def test_a_version_that_fails_harms_nobody_and_is_counted() -> None:
    def broken(_config: CascadeConfig) -> Corpus:
        raise RuntimeError("made for another encoder")

    made, metrics = shadows()
    made.offer(copy(bind=broken))
    await made.idle()
    assert value(metrics, "cascade_shadow_lost_total", reason="error") == 1


async def test_a_server_that_stops_waits_for_no_copy_and_takes_no_more() -> None:
    made, metrics = shadows()
    made.offer(copy(bind=waiting(Waiting("given"))))
    await asyncio.sleep(0)
    await made.aclose()
    made.offer(copy())
    await made.idle()
    assert value(metrics, "cascade_shadow_overlap_count") is None


async def test_of_a_cascade_that_is_gone_nothing_is_counted() -> None:
    made, metrics = shadows()
    retriever = Waiting("given")
    made.offer(copy(bind=waiting(retriever)))
    metrics.rollouts.withdrawn("acme", "search")
    retriever.go_on.set()
    await made.idle()
    assert value(metrics, "cascade_shadow_overlap_count") is None
    assert value(metrics, "cascade_rollout_duration_seconds_count", version="shadow") is None


async def test_a_new_pair_of_versions_begins_anew() -> None:
    made, metrics = shadows()
    made.offer(copy())
    await made.idle()
    metrics.rollouts.rolled_out("acme", Rollout("search", 1, shadow=2, shadow_percent=5.0))
    assert value(metrics, "cascade_shadow_overlap_count") == 1
    metrics.rollouts.rolled_out("acme", Rollout("search", 1, shadow=3, shadow_percent=5.0))
    assert value(metrics, "cascade_shadow_overlap_count") is None
    assert value(metrics, "cascade_rollout_duration_seconds_count", version="shadow") is None
