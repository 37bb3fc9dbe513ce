"""Asks a server how likely its language model finds a query after a passage, once it has shown that it can tell."""

from __future__ import annotations

import math
import statistics
import time
from dataclasses import dataclass

from cascade.budget import Budget
from cascade.errors import UnsuitableError
from cascade.inference.cost import CHARS_PER_TOKEN, CostEstimate
from cascade.inference.scored import PROBE, PROBE_ANSWER, PROBE_OTHER
from cascade.rerank.listwise.echo import query_log_probabilities
from cascade.rerank.listwise.endpoint import Endpoint
from cascade.rerank.listwise.likelihood_model import PROMPT, likelihood_parts
from cascade.rerank.listwise.prompt import load_prompt

_AN_EVEN_CHANCE = math.log(0.5)


@dataclass(frozen=True, slots=True)
class Likelihood:
    """Natural-log probabilities of a query's tokens, the tokens read for them, and the seconds waited for a place."""

    log_probabilities: list[float]
    tokens: int
    waited: float

    @property
    def score(self) -> float:
        """Their mean, as `LikelihoodModel` scores."""
        return statistics.fmean(self.log_probabilities)


class EchoReader:
    """Shows the prompt of `LikelihoodModel`, in words; `bos` begins it where the server does not know to."""

    def __init__(self, endpoint: Endpoint, *, bos: str = "") -> None:
        self.reference = endpoint.reference
        self.cost = CostEstimate()
        """Seconds for each token of a prompt, of a call that is one of several."""
        self._endpoint = endpoint
        self._bos = bos
        self._before, self._between = likelihood_parts(load_prompt(PROMPT))

    async def ensure_ready(self, budget: Budget) -> None:
        """Run the self-test unless it ran. Raises as `Endpoint.ensure_passes` does."""
        test = f"likelihood ({PROMPT}{f' after {self._bos}' if self._bos else ''})"
        await self._endpoint.ensure_passes(test, lambda: self._problem(budget))

    async def read(self, query: str, passage: str, budget: Budget) -> Likelihood:
        """How likely `query` is after `passage`. Raises as `Endpoint.echo` does."""
        before = f"{self._before}{passage}{self._between}"
        start = time.perf_counter()
        echo = await self._endpoint.echo(f"{self._bos}{before}{query}", budget=budget)
        self.cost.observe(int(len(before + query) / CHARS_PER_TOKEN) + 1, time.perf_counter() - start - echo.waited)
        try:
            return Likelihood(query_log_probabilities(echo, before, query), echo.tokens, echo.waited)
        except ValueError as error:
            told = f"{error}, expected a log-probability for each of the prompt's own tokens; use another server"
            raise UnsuitableError(self.reference, told) from error

    async def _problem(self, budget: Budget) -> str:
        """What keeps the endpoint from telling how likely a query is, or nothing."""
        try:
            copy = await self.read(PROBE_ANSWER, PROBE_ANSWER, budget)
            # Some servers tell for each token how likely it was to come once more; numbers that look well, and are not.
            if (middle := statistics.median(copy.log_probabilities)) < _AN_EVEN_CHANCE:
                return (
                    f"it calls half the tokens of a sentence that it has just read {math.exp(middle):.2g} likely or "
                    "less, expected more than 0.5: it may tell of every token what is true of the one beside it, as "
                    "llama-cpp-python does unless a prompt begins with the model's beginning token; name that token "
                    "in bos, or use another server"
                )
            other, answer = [(await self.read(PROBE, text, budget)).score for text in (PROBE_OTHER, PROBE_ANSWER)]
        except UnsuitableError as error:
            return (
                f"asked to echo a prompt with logprobs, {error.reason}; kind likelihood needs a server whose "
                "v1/completions does that"
            )
        finally:
            self.cost.forget()  # as after loading: its calls are no measure
        if answer > other:
            return ""
        return (
            f"its self-test scored an answer {answer:.4f} and an unrelated passage {other:.4f}, expected the answer "
            "above; choose a language model that was trained"
        )
