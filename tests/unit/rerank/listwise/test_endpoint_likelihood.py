"""Query likelihood over an OpenAI-compatible server on a loopback port."""

from __future__ import annotations

import asyncio
import statistics
from collections.abc import AsyncIterator, Sequence

import pytest
from structlog.testing import capture_logs

from cascade.budget import Budget
from cascade.errors import ModelLoadError, StageError
from cascade.rerank.listwise.echo_reader import EchoReader
from cascade.rerank.listwise.endpoint import Endpoint
from cascade.rerank.listwise.endpoint_likelihood import EndpointLikelihoodReranker
from cascade.stages import Scores
from cascade.testing import RerankerConformance, candidates_of
from cascade.trace import StageStatus
from cascade.types import Query
from tests.unit.rerank.listwise.chat_server import Answer, ChatServer, Reply, chat_server, says
from tests.unit.rerank.listwise.echo_server import echoed, echoing, log_probability, tokens_of
from tests.unit.rerank.listwise.probed import probed

QUERY = "how is water boiled"
TEXTS = ["Stones lie still.", "Water is boiled by heat: that is how.", "The museum opens at nine.", ""]


@pytest.fixture
async def server() -> AsyncIterator[ChatServer]:
    async with chat_server() as running:
        running.script.extend([echoing()] * 300)
        yield running


def tier(server: ChatServer, *, bos: str = "", **more: int) -> EndpointLikelihoodReranker:
    return EndpointLikelihoodReranker("listwise", EchoReader(Endpoint(server.url, "small", retries=0), bos=bos), **more)


async def ready(server: ChatServer, *answers: Answer, bos: str = "", **more: int) -> EndpointLikelihoodReranker:
    """A tier that passed its self-test, over a server that gives `answers` next."""
    made = tier(server, bos=bos, **more)
    await made.warm_up()
    server.asked.clear()
    server.script.extendleft(answers[::-1])
    return made


async def rank(
    tier: EndpointLikelihoodReranker, texts: Sequence[str] = TEXTS, budget: Budget | None = None, query: str = QUERY
) -> Scores:
    return await tier.score(Query(query), candidates_of(texts), budget=budget or Budget())


class TestEndpointLikelihoodReranker(RerankerConformance):
    @pytest.fixture(autouse=True)
    async def _take(self, server: ChatServer) -> None:
        self.server = server

    def make(self) -> EndpointLikelihoodReranker:
        return tier(self.server)


async def test_a_score_is_the_mean_log_probability_of_the_query_s_tokens(server: ChatServer) -> None:
    scores = await rank(await ready(server))
    before, query = tokens_of(f"Passage: {TEXTS[1]}\n\nQuestion:"), tokens_of(f" {QUERY}")
    values = [log_probability(token, [*before, *query[:place]]) for place, token in enumerate(query)]
    assert scores.values[1] == pytest.approx(statistics.fmean(values))
    assert max(scores.values) == scores.values[1]
    assert (scores.usage.repairs, scores.usage.incomplete) == (0, "")
    assert scores.usage.tokens == sum(len(tokens_of(asked["prompt"])) + 1 for asked in server.asked)


async def test_the_server_is_asked_for_the_prompt_that_a_local_model_reads(server: ChatServer) -> None:
    await rank(await ready(server), TEXTS[:1])
    assert server.asked == [
        {
            "model": "small",
            "prompt": "Passage: Stones lie still.\n\nQuestion: how is water boiled",
            "max_tokens": 1,
            "temperature": 0,
            "echo": True,
            "logprobs": 1,
        }
    ]


@pytest.mark.parametrize(
    "answer",
    [echoing(bos="<s>"), echoing(written=()), echoing(usage=False)],
    ids=["bos", "nothing-written", "no-usage"],
)
async def test_what_a_server_tells_beside_the_prompt_does_not_count(server: ChatServer, answer: Answer) -> None:
    expected = await rank(tier(server))
    server.script.clear()
    server.script.extend([answer] * 300)
    assert (await rank(tier(server))).values == pytest.approx(expected.values, abs=0.1)


async def test_a_beginning_token_is_sent_and_not_looked_for(server: ChatServer) -> None:
    scores = await rank(await ready(server, bos="<s>"))
    assert {asked["prompt"][:11] for asked in server.asked} == {"<s>Passage:"}
    assert max(scores.values) == scores.values[1]


async def test_a_server_that_tells_each_token_s_value_for_its_neighbour_is_refused(server: ChatServer) -> None:
    server.script.clear()
    server.script.extend([echoing(shift=1)] * 3)
    with pytest.raises(ModelLoadError, match=r"expected more than 0\.5: .* name that token in bos, or use another"):
        await tier(server).warm_up()
    assert len(server.asked) == 1


@pytest.mark.parametrize(
    ("answer", "found"),
    [
        (lambda _: Reply(400, "Only no echo is supported"), "answered 400: Only no echo is supported"),
        (lambda _: says("the", alternatives={"the": -0.1}), "has not log-probabilities of the prompt's own tokens"),
        (lambda _: echoed([" the"], [-0.1]), "the tokens that it tells read ' the'"),
        (lambda prompt: echoed(tokens_of(prompt), [None] * len(tokens_of(prompt))), "it tells 0 log-probabilities"),
    ],
    ids=["refuses", "chats", "does-not-echo", "tells-no-numbers"],
)
async def test_a_server_that_does_not_echo_is_refused(server: ChatServer, answer: Answer, found: str) -> None:
    server.script.clear()
    server.script.append(answer)
    with pytest.raises(ModelLoadError, match="kind likelihood needs a server whose v1/completions") as raised:
        await tier(server).warm_up()
    assert found in str(raised.value)


async def test_a_model_that_misorders_the_known_pair_is_refused(server: ChatServer) -> None:
    def indifferent(prompt: str) -> Reply:
        return echoed(tokens_of(prompt), [None, *[-0.1] * (len(tokens_of(prompt)) - 1)], written=0)

    server.script.clear()
    server.script.extend([indifferent] * 3)
    with pytest.raises(ModelLoadError, match=r"an unrelated passage -0\.1000, expected the answer above"):
        await tier(server).warm_up()


async def test_a_server_that_is_not_well_is_asked_again_with_the_next_request(server: ChatServer) -> None:
    server.script.appendleft(lambda _: Reply(500, "out of memory"))
    made = tier(server)
    with pytest.raises(StageError, match="answered 500: out of memory"):
        await rank(made)
    assert (await rank(made)).usage.repairs == 0


async def test_documents_whose_calls_fail_come_last_and_are_told_of(server: ChatServer) -> None:
    made = await ready(server, echoing(), lambda _: Reply(500, "no"), lambda _: Reply(400, "too long"), concurrency=1)
    with capture_logs() as logs:
        scores = await rank(made)
    first, second, third, last = scores.values
    assert min(first, last) > second > third
    assert scores.usage.repairs == 2
    assert scores.usage.incomplete.startswith("2 documents of 4 got no score and come last: ")
    assert "answered 500: no" in scores.usage.incomplete
    assert [line["documents"] for line in logs if line["event"] == "documents_without_score"] == [2]


async def test_a_tier_none_of_whose_documents_got_a_score_failed(server: ChatServer) -> None:
    made = await ready(server, *[lambda _: Reply(500, "no")] * 4)
    with pytest.raises(StageError, match="answered 500: no"):
        await rank(made)


async def never(_prompt: str) -> Reply:
    await asyncio.Event().wait()
    raise AssertionError


async def test_when_time_runs_out_the_scores_so_far_are_the_answer(server: ChatServer) -> None:
    made = await ready(server, echoing(), echoing(), never, concurrency=1)
    scores = await rank(made, budget=Budget.of(1.0))
    assert scores.values[1] > scores.values[0] > scores.values[2] > scores.values[3]
    assert scores.usage.repairs == 2
    assert scores.usage.incomplete.startswith("time ran out when 2 of 4 documents had a score")


async def test_without_any_score_in_time_it_timed_out(server: ChatServer) -> None:
    made = await ready(server, never, concurrency=1)
    with pytest.raises(TimeoutError):
        await rank(made, budget=Budget.of(0.2))


async def test_a_request_asks_about_no_more_documents_at_once_than_it_may(server: ChatServer) -> None:
    await rank(await ready(server, concurrency=2), TEXTS * 3)
    assert server.most_in_flight == 2
    assert len(server.asked) == 12


async def test_users_texts_cannot_hold_what_a_chat_template_would_obey(server: ChatServer) -> None:
    scores = await rank(await ready(server), ["<|im_end|>Water"], query="who <|im_start|> is")
    assert "<|" not in server.asked[0]["prompt"]
    assert scores.usage.repairs == 0


async def test_documents_that_are_cut_are_told_with_their_tokens(server: ChatServer) -> None:
    scores = await rank(await ready(server, max_doc_tokens=16), ["stone " * 100, "stone"])
    (cut,) = scores.usage.truncations
    assert (cut.tokens_seen, cut.tokens_total) == (16, 150)
    assert server.asked[0]["prompt"].count("stone") < 12


async def test_a_query_without_words_scores_every_document_the_same_and_asks_nobody(server: ChatServer) -> None:
    scores = await rank(tier(server), query=" ")
    assert scores.values == (0.0,) * 4
    assert not server.asked


async def test_its_cost_is_estimated_from_its_calls_once_there_were_some(server: ChatServer) -> None:
    made = await ready(server, concurrency=2)
    few, many = (candidates_of(TEXTS * times) for times in (1, 4))
    assert made.estimate_cost(Query(QUERY), few) == 0.0
    await made.score(Query(QUERY), few, budget=Budget())
    assert made.estimate_cost(Query(QUERY), many) == pytest.approx(4 * made.estimate_cost(Query(QUERY), few))
    assert made.estimate_cost(Query(QUERY), []) == 0.0


async def test_a_cascade_names_the_endpoint_and_its_trace_says_what_was_read(server: ChatServer) -> None:
    found, _ = await probed(f"{{kind: likelihood, depth: 5, endpoint: {{url: '{server.url}', model: small}}}}")
    trace = found.trace[-1]
    assert found.ranking.doc_ids == ["b", "a"]
    assert (trace.kind, trace.model, trace.status, trace.repairs) == ("likelihood", "small", StageStatus.COMPLETED, 0)
    assert trace.tokens > 20
