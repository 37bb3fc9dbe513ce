"""The listwise tier of kind likelihood, by a language model behind an OpenAI-compatible server."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from cascade.budget import Budget
from cascade.inference.cost import approximate_tokens
from cascade.rerank.listwise.asking import SHARE, Asking, completed
from cascade.rerank.listwise.echo_reader import EchoReader, Likelihood
from cascade.rerank.listwise.endpoint import piece
from cascade.stages import Scores, Usage
from cascade.types import Candidate, Query, Truncation

_MAX_QUERY_TOKENS = 512


class EndpointLikelihoodReranker:
    """Scores as `LikelihoodReranker` does; a call for each document, at most `concurrency` of a request at once.

    A document that got no score comes after those that did, in the order received, and counts as a repair; only when
    none got one, there is no answer.
    """

    def __init__(self, name: str, reader: EchoReader, *, max_doc_tokens: int = 256, concurrency: int = 4) -> None:
        self._name = name
        self._reader = reader
        self._max_doc_tokens = max_doc_tokens
        self._concurrency = concurrency

    async def warm_up(self) -> None:
        """Reach the endpoint and run the self-test. Raises ModelLoadError for one that does not pass."""
        await self._reader.ensure_ready(Budget())

    def estimate_cost(self, query: Query, candidates: Sequence[Candidate], *, account: str = "") -> float:
        """Seconds, by the rate of the last calls, as many at once as there may be."""
        if not candidates:
            return 0.0
        tokens = approximate_tokens([c.text for c in candidates], most=self._max_doc_tokens)
        tokens += len(candidates) * approximate_tokens([query.text], most=_MAX_QUERY_TOKENS)
        return self._reader.cost.seconds(tokens) / min(self._concurrency, len(candidates))

    async def score(self, query: Query, candidates: Sequence[Candidate], *, budget: Budget) -> Scores:
        """The mean natural-log probability of the query's tokens after each candidate, at most 0.

        Raises what the first failed call raised, or TimeoutError, when no candidate got a score.
        """
        pieces = [piece(c.text or "", self._max_doc_tokens) for c in candidates]
        asked = piece(query.text, _MAX_QUERY_TOKENS)[0]
        if not asked.strip() or not candidates:
            unread = self._cut(candidates, [(0, total) for _, _, total in pieces])
            return Scores((0.0,) * len(candidates), Usage(truncations=unread))
        within = budget.share(SHARE)
        await self._reader.ensure_ready(within)
        asking: Asking[Likelihood] = Asking(self._reader.reference, [1] * len(pieces), within, self._concurrency)
        found = await asking.answers([partial(self._reader.read, asked, text, within) for text, _, _ in pieces])
        values = [None if told is None else told.score for told in found]
        cut = self._cut(candidates, [(kept, total) for _, kept, total in pieces])
        return Scores(
            completed(values), Usage(asking.waited, asking.tokens, cut, values.count(None), asking.lacks(found))
        )

    def _cut(self, candidates: Sequence[Candidate], seen: Sequence[tuple[int, int]]) -> tuple[Truncation, ...]:
        return tuple(
            Truncation(candidate.doc_id, self._name, kept, total)
            for candidate, (kept, total) in zip(candidates, seen, strict=True)
            if kept < total
        )
