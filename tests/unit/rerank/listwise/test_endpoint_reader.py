"""The kinds that read logits, over an OpenAI-compatible server on a loopback port."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Mapping

import pytest

from cascade.budget import Budget
from cascade.errors import ModelLoadError, StageError
from cascade.inference.scored import PROBE_ANSWER
from cascade.rerank.listwise.endpoint import Endpoint
from cascade.rerank.listwise.endpoint_reader import EndpointReader, read_answer
from cascade.rerank.listwise.list_prompt import ListPrompt
from cascade.rerank.listwise.list_reranker import ListReranker
from cascade.rerank.listwise.logits import LogitsReranker
from cascade.rerank.listwise.setwise import SetwiseReranker
from cascade.rerank.listwise.tournament import TournamentReranker
from cascade.stages import Scores
from cascade.testing import RerankerConformance, candidates_of
from cascade.types import Query
from tests.unit.rerank.listwise.chat_server import ChatServer, Reply, chat_server, says

QUERY = "how is water boiled"
TEXTS = [f"Stone number {i} lies still." for i in range(8)] + ["Water is boiled by heat: that is how."]
KINDS = ("logits", "setwise", "tournament")


def letters(prompt: str) -> dict[str, float]:
    """A log-probability for each passage's letter: one less for every word that it does not share with the question."""
    wanted = set(re.findall(r"\w+", prompt.splitlines()[0].lower()))
    shown = re.findall(r"^\((\w)\) (.*)$", prompt, re.MULTILINE)
    return {f"({i}": len(wanted & set(re.findall(r"\w+", text.lower()))) - 30.0 for i, text in shown}


def by_letter(prompt: str) -> Reply:
    return says("A", alternatives=letters(prompt))


@pytest.fixture
async def server() -> AsyncIterator[ChatServer]:
    async with chat_server() as running:
        running.script.extend([by_letter] * 300)
        yield running


def tier(server: ChatServer, kind: str, *, most: int = 4) -> ListReranker:
    endpoint = Endpoint(server.url, "small", retries=0)
    reader = EndpointReader(endpoint, kind, ListPrompt("letter-v1"), most=most)
    match kind:
        case "logits":
            return LogitsReranker("listwise", reader, window=most, stride=2, both_orders=False)
        case "setwise":
            return SetwiseReranker("listwise", reader, children=most - 1, top=3, both_orders=False)
        case _:
            return TournamentReranker("listwise", reader, group=most, rounds=2)


async def rank(tier: ListReranker, budget: Budget | None = None) -> Scores:
    return await tier.score(Query(QUERY), candidates_of(TEXTS), budget=budget or Budget())


class OfKind(RerankerConformance):
    kind = ""

    @pytest.fixture(autouse=True)
    async def _take(self, server: ChatServer) -> None:
        self.server = server

    def make(self) -> ListReranker:
        return tier(self.server, self.kind)


class TestLogitsReranker(OfKind):
    kind = "logits"


class TestSetwiseReranker(OfKind):
    kind = "setwise"


class TestTournamentReranker(OfKind):
    kind = "tournament"


@pytest.mark.parametrize("kind", KINDS)
async def test_the_answer_comes_first_from_wherever_it_was(server: ChatServer, kind: str) -> None:
    scores = await rank(tier(server, kind))
    assert scores.values[8] == 9.0
    assert sorted(scores.values) == list(range(1, 10))
    assert scores.usage.repairs == 0
    assert scores.usage.tokens > 0


async def test_identifiers_that_are_not_told_are_repairs(server: ChatServer) -> None:
    def only_a(prompt: str) -> Reply:
        return says("A", alternatives={"A": -0.1, "The": -3.0})

    reranker = tier(server, "logits", most=4)
    await reranker.warm_up()
    server.script.clear()
    server.script.extend([only_a] * 9)
    scores = await rank(reranker)
    assert scores.values == (9, 8, 7, 6, 5, 4, 3, 2, 1)
    assert scores.usage.repairs == 3 + 3 + 3 + 2  # windows of 4, 4, 4 and 3 documents


async def test_calls_that_are_late_leave_the_order_so_far(server: ChatServer) -> None:
    reranker = tier(server, "setwise")
    await reranker.warm_up()
    server.script.clear()

    async def never(_prompt: str) -> Reply:
        await asyncio.Event().wait()
        raise AssertionError

    server.script.extend([by_letter, never])
    scores = await rank(reranker, Budget.of(1.0))
    assert scores.usage.incomplete.startswith("time ran out when one list of documents was read")
    assert scores.values[8] > scores.values[7]


async def test_a_failing_endpoint_is_an_error(server: ChatServer) -> None:
    reranker = tier(server, "tournament")
    await reranker.warm_up()
    server.script.clear()
    server.script.extend([lambda _: Reply(500, "no")] * 9)
    with pytest.raises(StageError):
        await rank(reranker)


async def test_a_model_that_does_not_answer_with_letters_is_refused(server: ChatServer) -> None:
    server.script.clear()
    server.script.append(lambda _: says("The", alternatives={"The": -0.1, "I": -4.0}))
    with pytest.raises(ModelLoadError, match="begins an answer with 'The', 'I'; expected both"):
        await tier(server, "setwise").warm_up()


async def test_a_model_that_misorders_the_known_pair_is_refused(server: ChatServer) -> None:
    def wrong(prompt: str) -> Reply:
        first = prompt.index("(A)") < prompt.index(PROBE_ANSWER) < prompt.index("(B)")
        return says("A", alternatives={"A": -3.0 if first else -0.1, "B": -0.1 if first else -3.0})

    server.script.clear()
    server.script.extend([wrong] * 2)
    with pytest.raises(ModelLoadError, match="expected it above"):
        await tier(server, "logits").warm_up()


async def test_lists_longer_than_what_is_told_are_refused(server: ChatServer) -> None:
    with pytest.raises(ModelLoadError, match="tells 20 first tokens at most, and a list has 21"):
        await tier(server, "logits", most=21).warm_up()


@pytest.mark.parametrize(
    ("told", "expected", "missing"),
    [
        ({"A": -1.0, "B": -2.0}, [-1.0, -2.0], 0),
        ({" A": -1.0, "A": -4.0, "(B": -2.0, "[C]": -3.0}, [-1.0, -2.0, -3.0], 0),
        ({"B": -2.0, "The": -0.1}, [-3.0, -2.0], 1),
        ({}, [-1.0, -1.0], 2),
        ({"A": float("-inf"), "B": -1.0}, [-2.0, -1.0], 1),
    ],
)
def test_letters_are_read_with_what_stands_around_them(
    told: Mapping[str, float], expected: list[float], missing: int
) -> None:
    assert read_answer(told, len(expected)) == (expected, missing)
