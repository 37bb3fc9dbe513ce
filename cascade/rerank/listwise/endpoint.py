"""A language model behind an OpenAI-compatible server, which the listwise kinds can ask in place of a local one.

`complete` gives what the model writes (kind permutation), `first_token` its log-probabilities for the first token of an
answer (logits, setwise, tournament), `echo` those of what it reads (likelihood), `token_vectors` its hidden states
(joint). The chat template, which the last two go without, is the server's matter. A kind runs its self-test once by
`ensure_passes`, as it does with a local model, and sends no user text that did not go through `piece`, or that is not
in token ids.
"""

from __future__ import annotations

import asyncio
import math
import re
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import structlog

from cascade.budget import Budget
from cascade.errors import ModelLoadError, OverloadedError, StageError, UnsuitableError
from cascade.inference.cost import CHARS_PER_TOKEN, CostEstimate
from cascade.inference.model import BatchObserver, ModelStatus
from cascade.rerank.listwise.endpoint_client import EndpointClient

log = structlog.get_logger()

TOP_LOGPROBS = 20
"""The most alternatives that OpenAI's API tells of a token."""

_ALTERNATIVES = {"logprobs": True, "top_logprobs": TOP_LOGPROBS}

# What templates of common models mark turns with: the server's tokenizer, which would know its own, is not at hand.
_MARKS = re.compile(
    r"<(?=[|｜])|<(?=/?(?:s|bos|eos|pad|unk|mask|start_of_turn|end_of_turn|think|<?SYS>?)>)|\[(?=/?INST\])",
    re.IGNORECASE,
)


def piece(text: str, most: int | None = None) -> tuple[str, int, int]:
    """A user's text as it may be sent: its first `most` tokens, the tokens kept, and the tokens it has.

    The endpoint's tokenizer is not known here: a token counts as four characters. Control strings of common chat
    templates get a space into them, so that a text cannot end its turn.
    """
    total = math.ceil(len(text) / CHARS_PER_TOKEN)
    kept = text if most is None else text[: int(most * CHARS_PER_TOKEN)]
    return _MARKS.sub(lambda match: f"{match[0]} ", kept), math.ceil(len(kept) / CHARS_PER_TOKEN), total


@dataclass(frozen=True, slots=True)
class Completion:
    """What the model wrote, the tokens read and written, and the seconds waited for a free place.

    `alternatives` holds for each token written its text and the likeliest tokens in its place with their natural-log
    probabilities; nothing where they were not asked for or the endpoint does not tell them.
    """

    text: str
    tokens: int
    waited: float
    alternatives: tuple[tuple[str, Mapping[str, float]], ...] = ()


@dataclass(frozen=True, slots=True)
class FirstToken:
    """Natural-log probabilities of the likeliest first tokens, at most TOP_LOGPROBS of them, by their text."""

    log_probabilities: Mapping[str, float]
    tokens: int
    waited: float


@dataclass(frozen=True, slots=True)
class Echo:
    """The tokens of a text as a server shows them, each with its natural-log probability where the server tells one.

    The last `written` may follow the text: the server does not read without writing.
    """

    read: tuple[tuple[str, float | None], ...]
    written: int
    tokens: int
    waited: float


@dataclass(frozen=True, slots=True)
class TokenVectors:
    """A vector for each token of a text, as the server sent them, tokens, and the seconds waited for a free place."""

    vectors: Sequence[Sequence[float]]
    tokens: int
    waited: float


class Endpoint:
    """One model of one server, shared by all tiers that name it. What a caller asks cannot change url or model."""

    kind = "endpoint"

    def __init__(
        self,
        url: str,
        model: str,
        *,
        api_key_file: str | None = None,
        timeout: float = 10.0,
        retries: int = 1,
        concurrency: int = 4,
        on_batch: BatchObserver | None = None,
    ) -> None:
        parts = urlsplit(url)
        self.reference = f"{model} at {parts.hostname}{f':{parts.port}' if parts.port else ''}"
        self.cost = CostEstimate()
        self._model = model
        self._key_file = api_key_file
        self._client = EndpointClient(url, self.reference, timeout=timeout, retries=retries, concurrency=concurrency)
        self._on_batch = on_batch
        self._testing = asyncio.Lock()
        self._passed: dict[str, ModelLoadError | None] = {}
        self._last_problem = "not asked yet"

    @property
    def status(self) -> ModelStatus:
        """Ready once a self-test was passed and none failed."""
        failed = next((str(error) for error in self._passed.values() if error is not None), "")
        problem = failed or self._last_problem
        return ModelStatus(self.reference, self.kind, not problem, problem)

    async def ensure_passes(self, test: str, run: Callable[[], Awaitable[str]]) -> None:
        """Run the self-test named `test` unless it ran before; `run` returns what is wrong, or nothing.

        Raises ModelLoadError, the same one again until `forget_problem`, for a model that does not pass or an endpoint
        that refuses us. What says nothing about the model (no connection, no room, no time) is raised as it is, and the
        test runs again with the next call.
        """
        async with self._testing:
            if test not in self._passed:
                self._passed[test] = await self._test(test, run)
                self.cost = CostEstimate()
        if (error := self._passed[test]) is not None:
            raise error.with_traceback(None)  # which would grow with every raise, and keep its frames

    async def _test(self, test: str, run: Callable[[], Awaitable[str]]) -> ModelLoadError | None:
        try:
            await asyncio.to_thread(self._client.read_key, self._key_file)
            problem = await run()
        except ModelLoadError as error:
            return error
        except (StageError, OverloadedError, TimeoutError) as error:
            self._last_problem = str(error) or "it did not answer in time"
            raise
        self._last_problem = ""
        log.info("model_loaded", model=self.reference, kind=self.kind, test=test, passed=not problem)
        return ModelLoadError(self.reference, f"kind {test}: {problem}") if problem else None

    def forget_problem(self) -> None:
        """Let self-tests that failed run again, with the key read anew."""
        self._passed = {test: error for test, error in self._passed.items() if error is None}

    async def aclose(self) -> None:
        """Close its connections."""
        await self._client.aclose()

    async def complete(
        self,
        prompt: str,
        *,
        max_tokens: int,
        budget: Budget,
        example: tuple[str, str] | None = None,
        with_alternatives: bool = False,
    ) -> Completion:
        """What the model writes after the user's turn `prompt`, the likeliest token each time.

        `example` is a turn of the user and how it was answered, shown before. Raises TimeoutError when the budget or
        the endpoint's own timeout ran out, OverloadedError when there is no room, ModelLoadError when the endpoint
        refuses us, StageError for any other failure.
        """
        more = _ALTERNATIVES if with_alternatives else {}
        answer, waited = await self._chat(prompt, {"max_tokens": max_tokens, **more}, budget, example)
        try:
            text = answer["choices"][0]["message"]["content"] or ""
        except (KeyError, IndexError, TypeError) as error:
            raise self._misread("a message") from error
        return Completion(str(text), _tokens(answer), waited, _alternatives(answer) if with_alternatives else ())

    async def first_token(self, prompt: str, *, budget: Budget) -> FirstToken:
        """The likeliest first tokens of an answer to the user's turn `prompt`. Raises as `complete` does."""
        answer, waited = await self._chat(prompt, {"max_tokens": 1, **_ALTERNATIVES}, budget)
        found = _alternatives(answer)
        if not found:
            raise self._misread("log-probabilities of its first token (logprobs, top_logprobs)")
        return FirstToken(found[0][1], _tokens(answer), waited)

    async def echo(self, text: str, *, budget: Budget) -> Echo:
        """How likely each token of `text` is after those before it. Raises as `complete` does."""
        # One token more, for which nobody asks: some servers take none for as many as there is room for.
        wanted = {"prompt": text, "max_tokens": 1, "temperature": 0, "echo": True, "logprobs": 1}
        answer, waited = await self._ask("completions", wanted, budget)
        try:
            told = answer["choices"][0]["logprobs"]
            values = [None if value is None else float(value) for value in told["token_logprobs"]]
            read = tuple(zip(map(str, told["tokens"]), values, strict=True))
        except (KeyError, IndexError, TypeError, ValueError) as error:
            raise self._misread("log-probabilities of the prompt's own tokens (echo with logprobs)") from error
        return Echo(read, _tokens(answer, "completion_tokens", otherwise=1), _tokens(answer), waited)

    async def token_vectors(self, text: str, *, budget: Budget) -> TokenVectors:
        """The last hidden state of every token of `text`; its rows are not looked into. Raises as `complete` does."""
        answer, waited = await self._ask("embeddings", {"input": text}, budget)
        try:
            vectors = answer["data"][0]["embedding"]
            if vectors and isinstance(vectors[0], (int, float)):
                told = "it gave one vector for a whole text (pooled), expected one for every token; let it not pool"
                raise UnsuitableError(self.reference, told)
        except (KeyError, IndexError, TypeError) as error:
            raise self._misread("embeddings of tokens") from error
        if not isinstance(vectors, list):
            raise self._misread("embeddings of tokens")
        return TokenVectors(vectors, _tokens(answer), waited)

    async def _chat(
        self, prompt: str, more: Mapping[str, Any], budget: Budget, example: tuple[str, str] | None = None
    ) -> tuple[dict[str, Any], float]:
        turns = zip(("user", "assistant", "user"), (*(example or ()), prompt), strict=False)
        messages = [{"role": role, "content": content} for role, content in turns]
        return await self._ask("chat/completions", {"messages": messages, "temperature": 0, **more}, budget)

    async def _ask(self, path: str, wanted: Mapping[str, Any], budget: Budget) -> tuple[dict[str, Any], float]:
        start = time.perf_counter()
        body = {"model": self._model, **wanted}
        answer, waited = await self._client.post(path, body, budget=budget)
        tokens = _tokens(answer)
        self.cost.observe(tokens, time.perf_counter() - start - waited)
        if self._on_batch is not None:
            self._on_batch(self.reference, 1, tokens)
        return answer, waited

    def _misread(self, wanted: str) -> UnsuitableError:
        told = f"its answer has not {wanted} where OpenAI's API puts it; use another server"
        return UnsuitableError(self.reference, told)


def _tokens(answer: Mapping[str, Any], which: str = "total_tokens", *, otherwise: int = 0) -> int:
    """Tokens read and written, or `which` of them, as the endpoint counts them; `otherwise` where it does not say."""
    usage = answer.get("usage")
    count = usage.get(which) if isinstance(usage, dict) else None
    return count if isinstance(count, int) and count >= 0 else otherwise


def _alternatives(answer: Mapping[str, Any]) -> tuple[tuple[str, Mapping[str, float]], ...]:
    """Of each token written, as far as the endpoint tells them."""
    try:
        written = answer["choices"][0]["logprobs"]["content"]
        return tuple(
            (str(token["token"]), {str(one["token"]): float(one["logprob"]) for one in token["top_logprobs"]})
            for token in written
        )
    except (KeyError, IndexError, TypeError, ValueError):
        return ()
