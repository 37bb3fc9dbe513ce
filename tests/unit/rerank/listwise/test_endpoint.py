"""An OpenAI-compatible endpoint: what it is asked, what becomes of its failures, and that its key stays hidden."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from cascade.budget import Budget
from cascade.errors import ModelLoadError, OverloadedError, StageError
from cascade.rerank.listwise.endpoint import Endpoint, piece
from tests.unit.rerank.listwise.chat_server import ChatServer, Reply, by_overlap, chat_server, says

KEY = "sk-very-secret-0123456789"


@pytest.fixture
async def server() -> AsyncIterator[ChatServer]:
    async with chat_server() as running:
        yield running


@pytest.fixture
def key_file(tmp_path: Path) -> str:
    path = tmp_path / "key"
    path.write_text(f"{KEY}\n")
    return str(path)


async def nothing_wrong() -> str:
    return ""


async def test_it_asks_for_the_likeliest_answer_of_its_own_model(server: ChatServer) -> None:
    server.script.append(lambda _: says("[1] > [2]", tokens=42))
    endpoint = Endpoint(server.url, "small")
    found = await endpoint.complete("Rank these.", max_tokens=9, budget=Budget())
    await endpoint.aclose()
    assert (found.text, found.tokens) == ("[1] > [2]", 42)
    assert server.asked == [
        {
            "model": "small",
            "messages": [{"role": "user", "content": "Rank these."}],
            "temperature": 0,
            "max_tokens": 9,
        }
    ]


async def test_the_key_is_sent_and_never_shown(server: ChatServer, key_file: str) -> None:
    server.script.extend([lambda _: says("yes"), lambda _: Reply(500, f"wrong key {KEY}, sorry")])
    endpoint = Endpoint(server.url, "small", api_key_file=key_file)
    with capture_logs() as logs:
        await endpoint.ensure_passes("a kind", nothing_wrong)
        await endpoint.complete("Hello", max_tokens=1, budget=Budget())
        with pytest.raises(StageError) as raised:
            await endpoint.complete("Hello", max_tokens=1, budget=Budget())
    await endpoint.aclose()
    assert server.headers[0]["authorization"] == f"Bearer {KEY}"
    assert "answered 500: wrong key (the key), sorry" in str(raised.value)
    assert KEY not in str(raised.value) + repr(raised.value) + str(logs) + repr(endpoint.status)


@pytest.mark.parametrize("content", ["", "\n", "two words\n", "first\nsecond\n", "caf\u00e9"])
async def test_a_file_that_holds_no_key_is_refused_without_showing_it(tmp_path: Path, content: str) -> None:
    path = tmp_path / "key"
    path.write_text(content, encoding="utf-8")
    endpoint = Endpoint("http://127.0.0.1:9/v1", "small", api_key_file=str(path))
    with pytest.raises(ModelLoadError, match="api_key_file") as raised:
        await endpoint.ensure_passes("a kind", nothing_wrong)
    assert "first" not in str(raised.value)
    assert "caf" not in str(raised.value)


async def test_a_key_in_the_url_is_refused() -> None:
    with pytest.raises(ModelLoadError, match="put the key into api_key_file") as raised:
        await Endpoint("http://me:hidden@127.0.0.1:9/v1", "small").ensure_passes("a kind", nothing_wrong)
    assert "hidden" not in str(raised.value)


@pytest.mark.parametrize("status", [429, 503])
async def test_a_busy_endpoint_is_asked_again(server: ChatServer, status: int) -> None:
    server.script.extend([lambda _: Reply(status, "busy", {"retry-after": "0"}), lambda _: says("done")])
    endpoint = Endpoint(server.url, "small", retries=1)
    found = await endpoint.complete("Hello", max_tokens=1, budget=Budget())
    await endpoint.aclose()
    assert found.text == "done"


async def test_retries_are_bounded_and_then_it_is_overloaded(server: ChatServer) -> None:
    server.script.extend([lambda _: Reply(429, "too many", {"retry-after": "0"})] * 5)
    endpoint = Endpoint(server.url, "small", retries=2)
    with pytest.raises(OverloadedError, match="answered 429: too many"):
        await endpoint.complete("Hello", max_tokens=1, budget=Budget())
    await endpoint.aclose()
    assert len(server.asked) == 3


async def test_a_pause_longer_than_the_budget_is_not_waited_for(server: ChatServer) -> None:
    server.script.append(lambda _: Reply(429, "too many", {"retry-after": "3600"}))
    endpoint = Endpoint(server.url, "small", retries=5)
    with pytest.raises(OverloadedError) as raised:
        await endpoint.complete("Hello", max_tokens=1, budget=Budget.of(60.0))
    await endpoint.aclose()
    assert raised.value.retry_after == 3600
    assert len(server.asked) == 1


@pytest.mark.parametrize("status", [400, 413, 500, 502])
async def test_other_failures_are_not_tried_again_and_say_what_was_answered(server: ChatServer, status: int) -> None:
    server.script.append(lambda _: Reply(status, "it is\nnot well " + "x" * 500))
    endpoint = Endpoint(server.url, "small", retries=5)
    with pytest.raises(StageError, match=f"answered {status}: it is not well x") as raised:
        await endpoint.complete("Hello", max_tokens=1, budget=Budget())
    await endpoint.aclose()
    assert len(str(raised.value)) < 400
    assert len(server.asked) == 1


@pytest.mark.parametrize(("status", "hint"), [(401, "api_key_file"), (403, "api_key_file"), (404, "ends in /v1")])
async def test_an_endpoint_that_refuses_us_is_no_model(server: ChatServer, status: int, hint: str) -> None:
    server.script.append(lambda _: Reply(status, "no"))
    endpoint = Endpoint(server.url, "small")
    with pytest.raises(ModelLoadError, match=f"answered {status}: no; check .*{hint}"):
        await endpoint.complete("Hello", max_tokens=1, budget=Budget())
    await endpoint.aclose()


async def test_where_nobody_listens_the_error_says_so() -> None:
    async with chat_server() as gone:
        url = gone.url
    endpoint = Endpoint(url, "small", retries=0)
    with pytest.raises(StageError, match="could not be reached"):
        await endpoint.complete("Hello", max_tokens=1, budget=Budget())
    await endpoint.aclose()


@pytest.mark.parametrize("body", ["", "not json", "[1]", "{}", '{"choices": []}', '{"choices": [{"message": null}]}'])
async def test_an_answer_of_another_shape_is_a_failure(server: ChatServer, body: str) -> None:
    server.script.append(lambda _: Reply(200, body))
    endpoint = Endpoint(server.url, "small")
    with pytest.raises(StageError, match=r"expected a JSON object|has not a message"):
        await endpoint.complete("Hello", max_tokens=1, budget=Budget())
    await endpoint.aclose()


async def test_a_slow_answer_ends_with_the_endpoints_own_timeout(server: ChatServer) -> None:
    server.script.append(never)
    endpoint = Endpoint(server.url, "small", timeout=0.05, retries=5)
    with pytest.raises(TimeoutError):
        await endpoint.complete("Hello", max_tokens=1, budget=Budget())
    await server.left.wait()
    await endpoint.aclose()
    assert len(server.asked) == 1


async def test_a_slow_answer_ends_with_the_budget(server: ChatServer) -> None:
    server.script.append(never)
    endpoint = Endpoint(server.url, "small")
    with pytest.raises(TimeoutError):
        await endpoint.complete("Hello", max_tokens=1, budget=Budget.of(0.05))
    await server.left.wait()
    await endpoint.aclose()


async def test_a_call_ends_when_its_caller_leaves(server: ChatServer) -> None:
    server.script.append(never)
    endpoint = Endpoint(server.url, "small")
    call = asyncio.ensure_future(endpoint.complete("Hello", max_tokens=1, budget=Budget()))
    await server.begun.wait()
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    await server.left.wait()
    await endpoint.aclose()


async def test_calls_in_flight_are_bounded_whoever_asks(server: ChatServer) -> None:
    both = asyncio.Barrier(2)

    async def together(prompt: str) -> Reply:
        await both.wait()
        return by_overlap(prompt)

    server.script.extend([together, together])
    endpoint = Endpoint(server.url, "small", concurrency=2)
    calls = [endpoint.complete(f"Passage 1: {i}", max_tokens=1, budget=Budget()) for i in range(8)]
    answers = await asyncio.gather(*calls)
    await endpoint.aclose()
    assert [answer.text for answer in answers] == ["[1]"] * 8
    assert server.most_in_flight == 2


async def test_a_call_that_finds_no_place_in_time_is_not_made(server: ChatServer) -> None:
    server.script.append(never)
    endpoint = Endpoint(server.url, "small", concurrency=1)
    first = asyncio.ensure_future(endpoint.complete("first", max_tokens=1, budget=Budget()))
    await server.begun.wait()
    with pytest.raises(TimeoutError):
        await endpoint.complete("second", max_tokens=1, budget=Budget.of(0.01))
    first.cancel()
    await asyncio.wait({first})
    await endpoint.aclose()
    assert server.prompts() == ["first"]


async def test_it_tells_the_likeliest_first_tokens(server: ChatServer) -> None:
    server.script.append(lambda _: says("A", tokens=11, alternatives={"A": -0.1, "B": -2.5}))
    endpoint = Endpoint(server.url, "small")
    found = await endpoint.first_token("Which is best?", budget=Budget())
    await endpoint.aclose()
    assert (found.log_probabilities, found.tokens) == ({"A": -0.1, "B": -2.5}, 11)
    assert (server.asked[0]["logprobs"], server.asked[0]["top_logprobs"], server.asked[0]["max_tokens"]) == (
        True,
        20,
        1,
    )


async def test_an_endpoint_without_log_probabilities_says_so(server: ChatServer) -> None:
    server.script.append(lambda _: says("A"))
    endpoint = Endpoint(server.url, "small")
    with pytest.raises(StageError, match="has not log-probabilities"):
        await endpoint.first_token("Which is best?", budget=Budget())
    await endpoint.aclose()


async def test_a_self_test_runs_once_and_its_refusal_is_remembered_until_it_is_forgotten() -> None:
    runs: list[str] = []

    async def wrong() -> str:
        runs.append("")
        return "it put the wrong passage first"

    endpoint = Endpoint("http://127.0.0.1:9/v1", "small")
    for _ in range(2):
        with pytest.raises(ModelLoadError, match="kind permutation: it put the wrong"):
            await endpoint.ensure_passes("permutation", wrong)
    assert len(runs) == 1
    assert not endpoint.status.ready
    endpoint.forget_problem()
    await endpoint.ensure_passes("permutation", nothing_wrong)
    assert endpoint.status.ready


async def test_a_self_test_that_could_not_be_run_runs_again(server: ChatServer) -> None:
    server.script.append(lambda _: Reply(500, "starting"))
    endpoint = Endpoint(server.url, "small")

    async def ask() -> str:
        await endpoint.complete("Hello", max_tokens=1, budget=Budget())
        return ""

    with pytest.raises(StageError):
        await endpoint.ensure_passes("permutation", ask)
    assert "answered 500" in endpoint.status.problem
    await endpoint.ensure_passes("permutation", ask)
    assert endpoint.status.ready
    await endpoint.aclose()


@pytest.mark.parametrize(
    "text", ["<|im_end|>", "</s>", "<bos>", "<end_of_turn>", "[INST]", "[/inst]", "<<SYS>>", "<｜User｜>", "<|<|a|>"]
)
def test_a_control_string_of_a_common_template_is_broken(text: str) -> None:
    assert text not in piece(f"before {text} after")[0]
    assert "<|" not in piece(text)[0]


def test_a_text_without_control_strings_is_sent_as_it_is() -> None:
    text = "a < b, [1], <b>bold</b> and {braces}"
    assert piece(text) == (text, 9, 9)


def test_a_text_is_cut_and_says_so() -> None:
    assert piece("x" * 100, 10) == ("x" * 40, 10, 25)


async def never(_: str) -> Reply:
    await asyncio.Event().wait()
    raise AssertionError("nobody sets it")
