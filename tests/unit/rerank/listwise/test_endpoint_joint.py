"""The joint kind over a server on a loopback port that runs a small network's layers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path

import pytest
import torch
from structlog.testing import capture_logs

from cascade.budget import Budget
from cascade.errors import ModelLoadError, StageError
from cascade.rerank.listwise.checkpoint import load_network
from cascade.rerank.listwise.endpoint import Endpoint
from cascade.rerank.listwise.endpoint_joint import EndpointJointReranker
from cascade.rerank.listwise.joint import JointReranker
from cascade.rerank.listwise.joint_head import JointHead
from cascade.rerank.listwise.joint_layout import JointLayout
from cascade.rerank.listwise.joint_model import JointModel
from cascade.rerank.listwise.joint_reader import JointReader
from cascade.rerank.listwise.network import JointNetwork
from cascade.stages import Scores
from cascade.testing import RerankerConformance, candidates_of
from cascade.trace import StageStatus
from cascade.types import Query
from tests.unit.rerank.listwise.chat_server import Answer, ChatServer, Reply, chat_server
from tests.unit.rerank.listwise.probed import probed
from tests.unit.rerank.listwise.vector_server import embedded, ids_of, reading, states

QUERY = "what is the capital of france"
TEXTS = [
    "Paris is the capital of France.",
    "Water boils at one hundred degrees.",
    "Stir until the dough is smooth.",
    "Lyon is a city in France.",
    "",
    "dough and flour " * 20,
]
"""Two blocks of three."""


@pytest.fixture(scope="session")
def network(joint_folders: tuple[Path, Path]) -> JointNetwork:
    layout = JointLayout(str(joint_folders[0]))
    return load_network(layout.folder, layout.settings, layout.source, torch.float32)


@pytest.fixture(scope="session")
def head(joint_folders: tuple[Path, Path]) -> JointHead:
    return JointHead(str(joint_folders[0]), device="cpu")


@pytest.fixture(scope="session")
def local(joint_folders: tuple[Path, Path]) -> JointModel:
    return JointModel(str(joint_folders[0]), device="cpu", backend="torch-fp32")


@pytest.fixture
async def server(network: JointNetwork) -> AsyncIterator[ChatServer]:
    async with chat_server() as running:
        running.script.extend([reading(network)] * 100)
        yield running


Tier = Callable[..., EndpointJointReranker]


@pytest.fixture
def tier(server: ChatServer, head: JointHead) -> Tier:
    def make(*, timeout: float = 10.0, **more: int) -> EndpointJointReranker:
        reader = JointReader(Endpoint(server.url, "layers", retries=0, timeout=timeout), head)
        return EndpointJointReranker("listwise", reader, **{"max_doc_tokens": 32, "max_block_tokens": 512} | more)

    return make


async def ready(server: ChatServer, made: EndpointJointReranker, *answers: Answer) -> EndpointJointReranker:
    """A tier that passed its self-test, over a server that gives `answers` next."""
    await made.warm_up()
    server.asked.clear()
    server.script.extendleft(answers[::-1])
    return made


async def rank(
    tier: EndpointJointReranker | JointReranker, texts: Sequence[str] = TEXTS, budget: Budget | None = None
) -> Scores:
    return await tier.score(Query(QUERY), candidates_of(texts), budget=budget or Budget())


class TestEndpointJointReranker(RerankerConformance):
    @pytest.fixture(autouse=True)
    def _take(self, tier: Tier) -> None:
        self.tier = tier

    def make(self) -> EndpointJointReranker:
        return self.tier()


@pytest.mark.parametrize("times", [1, 4], ids=["two-blocks", "six-blocks"])
async def test_its_scores_are_those_of_the_model_that_runs_here(tier: Tier, local: JointModel, times: int) -> None:
    expected = await rank(JointReranker("listwise", local, max_doc_tokens=32, max_block_tokens=512), TEXTS * times)
    found = await rank(tier(), TEXTS * times)
    assert found.values == pytest.approx(expected.values, abs=1e-4)
    assert found.usage.truncations == expected.usage.truncations
    assert found.usage.truncations[0].tokens_seen == 32
    assert (found.usage.repairs, found.usage.incomplete) == (0, "")


async def test_the_server_is_sent_the_very_tokens_that_a_local_model_reads(
    server: ChatServer, tier: Tier, head: JointHead
) -> None:
    hostile = "<gh_stars><file_sep> " * 3
    scores = await rank(await ready(server, tier()), [hostile, "of wate"])
    (asked,) = server.asked
    assert asked == {"model": "layers", "input": asked["input"]}
    ids = ids_of(asked["input"])
    prompt = head.layout.prompt
    assert (ids.count(prompt.passage_marker), ids.count(prompt.query_marker), ids[-1]) == (2, 1, prompt.query_marker)
    laid = head.layout.lay_out(QUERY, [hostile, "of wate"], max_doc_tokens=32, max_block_tokens=512)
    assert ids == laid.blocks[0].input_ids
    assert scores.usage.tokens == len(ids)


def pooling(_text: str) -> Reply:
    return embedded([0.1] * 32, tokens=7)


def of_length_one(network: JointNetwork) -> Answer:
    def answer(text: str) -> Reply:
        return embedded(torch.nn.functional.normalize(torch.tensor(states(network, text)), dim=-1).tolist())

    return answer


@pytest.mark.parametrize(
    ("answer", "found"),
    [
        (lambda _: pooling, r"one vector for a whole text \(pooled\), expected one for every token"),
        (lambda network: reading(network, most=20), "it gave 20 vectors for .* it cuts what it reads: raise its batch"),
        (lambda network: reading(network, before=1), "its tokens are others: serve the file that `cascade train exp"),
        (of_length_one, "its vectors all have length 1"),
        (lambda _: lambda text: embedded([[0.1] * 8] * len(text)), r"its vectors are \(8,\), expected 32 finite"),
        (lambda _: lambda text: embedded([[None] * 32] * len(text)), "expected 32 finite numbers"),
        (lambda _: lambda text: embedded([[0.1], []] * len(text)), "it gave .* vectors for"),
        (lambda _: lambda text: embedded([[0.1] * (3 + n % 2) for n in range(len(text))]), "numbers of one length"),
        (lambda _: lambda text: embedded("gz"), "has not embeddings of tokens where OpenAI's API puts it"),
        (lambda _: lambda text: Reply(200, "{}"), "has not embeddings of tokens"),
        (lambda _: lambda text: Reply(400, "no pooling is not compatible"), "answered 400: no pooling is not"),
    ],
    ids=["pools", "cuts", "adds", "scales", "narrow", "nan", "twice", "ragged", "base64", "empty", "refuses"],
)
async def test_a_server_that_does_not_tell_each_token_s_state_is_refused(
    server: ChatServer, tier: Tier, network: JointNetwork, answer: Callable[[JointNetwork], Answer], found: str
) -> None:
    server.script.clear()
    server.script.append(answer(network))
    made = tier()
    with pytest.raises(ModelLoadError, match=found) as raised:
        await made.warm_up()
    assert "kind joint needs a server whose v1/embeddings gives the hidden state of every token" in str(raised.value)
    with pytest.raises(ModelLoadError, match=found):
        await rank(made)
    assert len(server.asked) == 1, "the same error again, without asking"


async def test_a_server_with_other_layers_is_refused(
    server: ChatServer, tier: Tier, network: JointNetwork, head: JointHead
) -> None:
    def still(text: str) -> Reply:
        return embedded([states(network, text)[-1]] * len(text))

    server.script.clear()
    server.script.extend([still] * 2)
    with pytest.raises(
        ModelLoadError, match="expected the answer above; it runs other weights: serve the file"
    ) as told:
        await tier().warm_up()
    assert head.reference in str(told.value)


async def test_a_folder_without_a_joint_model_is_refused_before_anybody_is_asked(
    server: ChatServer, tiny_lm: Path
) -> None:
    reader = JointReader(Endpoint(server.url, "layers"), JointHead(str(tiny_lm), device="cpu"))
    with pytest.raises(ModelLoadError, match=r"it has no joint\.json"):
        await EndpointJointReranker("listwise", reader).warm_up()
    assert not server.asked


async def test_a_server_that_is_not_well_is_asked_again_with_the_next_request(server: ChatServer, tier: Tier) -> None:
    server.script.appendleft(lambda _: Reply(500, "out of memory"))
    made = tier()
    with pytest.raises(StageError, match="answered 500: out of memory"):
        await rank(made)
    assert (await rank(made)).usage.repairs == 0


async def test_documents_of_a_block_that_fails_come_last_and_are_told_of(
    server: ChatServer, tier: Tier, network: JointNetwork
) -> None:
    made = await ready(server, tier(concurrency=1), lambda _: Reply(500, "no"), reading(network))
    with capture_logs() as logs:
        scores = await rank(made)
    failed, read = scores.values[:3], scores.values[3:]
    assert len(server.asked) == 2
    assert list(failed) == sorted(failed, reverse=True)
    assert max(failed) < min(read)
    assert scores.usage.repairs == 3
    assert scores.usage.incomplete.startswith("3 documents of 6 got no score and come last: ")
    assert "answered 500: no" in scores.usage.incomplete
    assert [line["documents"] for line in logs if line["event"] == "documents_without_score"] == [3]


async def test_a_block_that_the_server_cuts_has_failed(server: ChatServer, tier: Tier, network: JointNetwork) -> None:
    made = await ready(server, tier(concurrency=1), reading(network), reading(network, most=30))
    scores = await rank(made)
    assert scores.usage.repairs == 3
    assert "it gave 30 vectors for " in scores.usage.incomplete


async def test_a_tier_none_of_whose_blocks_was_read_failed(server: ChatServer, tier: Tier) -> None:
    made = await ready(server, tier(concurrency=1), lambda _: Reply(500, "first"), lambda _: Reply(500, "second"))
    with pytest.raises(StageError, match="answered 500: first"):
        await rank(made)


async def never(_text: str) -> Reply:
    await asyncio.Event().wait()
    raise AssertionError


async def test_when_time_runs_out_the_blocks_so_far_are_the_answer(
    server: ChatServer, tier: Tier, network: JointNetwork
) -> None:
    made = await ready(server, tier(concurrency=1), reading(network), never)
    scores = await rank(made, budget=Budget.of(2.0))
    assert max(scores.values[3:]) < min(scores.values[:3])
    assert scores.usage.repairs == 3
    assert scores.usage.incomplete.startswith("time ran out when 3 of 6 documents had a score")


async def test_a_call_that_takes_longer_than_it_may_is_one_that_failed(
    server: ChatServer, tier: Tier, network: JointNetwork
) -> None:
    made = await ready(server, tier(concurrency=1, timeout=1.0), never, reading(network))
    scores = await rank(made, budget=Budget.of(60.0))
    assert scores.usage.repairs == 3
    assert scores.usage.incomplete == "3 documents of 6 got no score and come last: it did not answer in time"


async def test_without_any_block_in_time_it_timed_out(server: ChatServer, tier: Tier) -> None:
    made = await ready(server, tier(concurrency=1), never)
    with pytest.raises(TimeoutError):
        await rank(made, budget=Budget.of(0.3))


async def test_a_request_sends_no_more_blocks_at_once_than_it_may(server: ChatServer, tier: Tier) -> None:
    await rank(await ready(server, tier(concurrency=2)), TEXTS * 3)
    assert server.most_in_flight == 2
    assert len(server.asked) == 5


async def test_its_cost_is_estimated_from_its_requests_once_there_were_some(server: ChatServer, tier: Tier) -> None:
    made = await ready(server, tier())
    few, many = (candidates_of(TEXTS * times) for times in (1, 4))
    assert made.estimate_cost(Query(QUERY), few) == 0.0
    await made.score(Query(QUERY), few, budget=Budget())
    assert 0 < made.estimate_cost(Query(QUERY), few) < made.estimate_cost(Query(QUERY), many)
    assert made.estimate_cost(Query(QUERY), []) == 0.0


async def test_no_candidates_get_no_scores_and_nobody_is_asked(server: ChatServer, tier: Tier) -> None:
    assert await rank(tier(), []) == Scores(())
    assert not server.asked


async def test_a_cascade_names_the_endpoint_and_its_trace_says_what_was_read(
    server: ChatServer, head: JointHead
) -> None:
    endpoint = f"{{url: '{server.url}', model: layers}}"
    tier = f"{{kind: joint, depth: 5, model: '{head.reference}', endpoint: {endpoint}}}"
    found, ready = await probed(tier)
    assert ready == {"joint_head": True, "endpoint": True}
    trace = found.trace[-1]
    assert found.ranking.doc_ids == ["b", "a"]
    assert (trace.kind, trace.model, trace.status, trace.repairs) == ("joint", "layers", StageStatus.COMPLETED, 0)
    assert trace.tokens > 20
