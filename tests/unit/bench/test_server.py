"""What a server adds is measured against the engine in process, each asked by a process of its own."""

from __future__ import annotations

import os

import pytest

from cascade.bench import server
from cascade.bench.options import Options
from cascade.bench.serving.cases import CASCADES, PLAIN, kilobytes, short
from cascade.bench.serving.driver import Driver, DriverError
from cascade.bench.serving.memory import resident
from cascade.bench.serving.processors import kept_to, shares
from cascade.bench.serving.subject import ClientSpec, EngineSpec, Question
from cascade.bench.texts import texts

QUESTIONS = (Question("red apples", ("green pears", "red apples are sweet")),)


def test_the_smallest_bench_of_a_server_has_every_figure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(CASCADES, "model", PLAIN)
    said: list[str] = []
    found = server.bench(Options(rounds=1, quick=True), said.append)
    assert [peer.speed.name for peer in found.peers] == [
        "engine in process, cross-encoder",
        "engine in process, no model, 100 documents of 1 KB",
        "one request at a time, natural length",
        "one request at a time, short",
    ]
    assert all(peer.ratio.value > 0 for peer in found.peers)
    assert [peer.goal is not None for peer in found.peers] == [True, False, True, False]
    assert [check.goal.floor for check in found.checks] == [1.5, 0.02]
    assert found.quality["memory"]["reranks"] == 40
    assert set(found.quality["latency"]["milliseconds"]) == {"server", "engine", "gRPC alone"}
    assert any(line.startswith("40 of 40 reranks") for line in said)


def test_a_driver_asks_so_many_times_and_at_the_moments_that_were_drawn() -> None:
    with Driver(EngineSpec(PLAIN, QUESTIONS, threads=1, processors=())) as driver:
        assert driver.closed(requests=5, concurrency=2) > 0
        some, again = (driver.open(rate=200, seconds=0.2, seed=1) for _ in range(2))
        assert len(some) == len(again) > 0


def test_what_was_not_ranked_is_an_error_and_not_a_fast_answer() -> None:
    nothing = (Question("red apples", ()),)
    refused = pytest.raises(DriverError, match="question 0: degraded False, 0 results")
    with Driver(EngineSpec(PLAIN, nothing, threads=1, processors=())) as driver, refused:
        driver.closed(requests=1, concurrency=1)


def test_a_server_that_is_not_there_is_an_error() -> None:
    spec = ClientSpec("127.0.0.1:1", "plain", QUESTIONS, processors=(), patience=0.1)
    with pytest.raises(DriverError, match="TimeoutError"), Driver(spec):
        raise AssertionError("there is nothing to ask")


def test_documents_of_a_kilobyte_have_a_thousand_characters() -> None:
    (question,) = kilobytes(texts(Options()), 1, 3, seed=0)
    assert [len(text) for text in question.texts] == [1000, 1000, 1000]


def test_short_passages_are_the_same_for_the_same_seed() -> None:
    assert short(2, 5, seed=3) == short(2, 5, seed=3)


def test_clients_have_a_processor_that_the_work_has_not() -> None:
    held = shares()
    assert not set(held.work) & set(held.clients)
    before = os.sched_getaffinity(0)
    with kept_to(held.work):
        assert not held.work or os.sched_getaffinity(0) == set(held.work)
    assert os.sched_getaffinity(0) == before


def test_a_process_has_memory() -> None:
    assert resident(os.getpid()) > 2**20
