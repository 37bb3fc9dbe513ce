"""The listwise tier of kind joint, its layers run by an OpenAI-compatible server."""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import partial

from cascade.budget import Budget
from cascade.inference.cost import CostEstimate, approximate_tokens
from cascade.rerank.listwise.asking import SHARE, Asking, completed
from cascade.rerank.listwise.joint_reader import JointReader, ReadBlock, scores_of
from cascade.stages import Scores, Usage
from cascade.types import Candidate, Query, Truncation


class EndpointJointReranker:
    """Scores as `JointReranker` does; a call for each block, at most `concurrency` of a request at once.

    The documents of a block that could not be read come after the others, in the order received, and count as repairs;
    only when none was read, there is no answer.
    """

    def __init__(
        self,
        name: str,
        reader: JointReader,
        *,
        max_doc_tokens: int = 256,
        max_block_tokens: int = 2048,
        concurrency: int = 4,
    ) -> None:
        self._name = name
        self._reader = reader
        self._max_doc_tokens = max_doc_tokens
        self._max_block_tokens = max_block_tokens
        self._concurrency = concurrency
        self._cost = CostEstimate()
        """Seconds for each token of a request's texts, all its calls together."""

    async def warm_up(self) -> None:
        """Load the head, reach the endpoint and run the self-test. Raises ModelLoadError."""
        await self._reader.ensure_ready(Budget())

    def estimate_cost(self, query: Query, candidates: Sequence[Candidate], *, account: str = "") -> float:
        """Seconds, by the rate of the last requests."""
        return self._cost.seconds(self._tokens(query, candidates)) if candidates else 0.0

    async def score(self, query: Query, candidates: Sequence[Candidate], *, budget: Budget) -> Scores:
        """Cosines in [-1, 1] of documents read side by side.

        Raises what the first failed call raised, or TimeoutError, when no block was read.
        """
        if not candidates:
            return Scores(())
        within = budget.share(SHARE)
        await self._reader.ensure_ready(within)
        laid, waited = await self._reader.lay_out(
            query.text,
            [c.text or "" for c in candidates],
            max_doc_tokens=self._max_doc_tokens,
            max_block_tokens=self._max_block_tokens,
            budget=within,
        )
        sizes = [len(block.passage_positions) for block in laid.blocks]
        asking: Asking[ReadBlock] = Asking(self._reader.reference, sizes, within, self._concurrency)
        start = time.perf_counter()
        found = await asking.answers([partial(self._reader.read, block, within) for block in laid.blocks])
        if None not in found:
            self._cost.observe(int(self._tokens(query, candidates)), time.perf_counter() - start)
        scores = iter(scores_of([block for block in found if block is not None]))
        values = [next(scores) if block else None for block, n in zip(found, sizes, strict=True) for _ in range(n)]
        cut = tuple(
            Truncation(candidate.doc_id, self._name, seen, total)
            for candidate, (seen, total) in zip(candidates, laid.seen, strict=True)
            if seen < total
        )
        usage = Usage(waited + asking.waited, asking.tokens, cut, values.count(None), asking.lacks(found))
        return Scores(completed(values), usage)

    def _tokens(self, query: Query, candidates: Sequence[Candidate]) -> float:
        texts = [query.text, *(c.text or "" for c in candidates), query.text]
        return approximate_tokens(texts, most=self._max_doc_tokens)
