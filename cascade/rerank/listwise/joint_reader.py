"""Has a server read the blocks of a joint model, once it has shown that it tells every token's hidden state."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from cascade.budget import Budget
from cascade.errors import UnsuitableError
from cascade.inference.scored import PROBE
from cascade.rerank.listwise.blocks import Vectors, merge
from cascade.rerank.listwise.endpoint import Endpoint
from cascade.rerank.listwise.joint_head import JointHead
from cascade.rerank.listwise.joint_layout import PROBE_TOKENS, PROBES, Laid, misordered
from cascade.rerank.listwise.joint_text import text_of
from cascade.rerank.listwise.prompt import Block


@dataclass(frozen=True, slots=True)
class ReadBlock:
    """Unit vectors of a block's query and passages, the tokens read for them, and the seconds waited for a place."""

    query: Vectors
    passages: Vectors
    tokens: int
    waited: float


class JointReader:
    """The layers of a joint model behind `endpoint`; the rest of it is `head`."""

    def __init__(self, endpoint: Endpoint, head: JointHead) -> None:
        self.reference = endpoint.reference
        self._endpoint = endpoint
        self._head = head
        self._serve = f"serve the file that `cascade train export-gguf {head.reference}` writes"

    async def ensure_ready(self, budget: Budget) -> None:
        """Load the head, and run the self-test unless it ran. Raises as `Endpoint.ensure_passes` does."""
        await self._head.queue.run(self._head.ensure_loaded, budget=budget)
        await self._endpoint.ensure_passes(f"joint ({self._head.reference})", partial(self._problem, budget))

    async def lay_out(
        self, query: str, passages: Sequence[str], *, max_doc_tokens: int, max_block_tokens: int, budget: Budget
    ) -> tuple[Laid, float]:
        """As `JointLayout.lay_out`, with the seconds that was waited for."""
        lay_out = self._head.layout.lay_out
        sizes = {"max_doc_tokens": max_doc_tokens, "max_block_tokens": max_block_tokens}
        return await self._head.queue.run(lambda: lay_out(query, passages, **sizes), budget=budget)

    async def read(self, block: Block, budget: Budget) -> ReadBlock:
        """Raises as `Endpoint.token_vectors` does, and UnsuitableError for vectors that are not of these tokens."""
        ids = block.input_ids[: block.query_position + 1]
        told = await self._endpoint.token_vectors(text_of(ids), budget=budget)
        if len(told.vectors) != len(ids):
            fewer = "it cuts what it reads: raise its batch size (n_batch, n_ubatch), or lower max_block_tokens"
            why = fewer if len(told.vectors) < len(ids) else f"its tokens are others: {self._serve}"
            raise self._refused(f"it gave {len(told.vectors)} vectors for {len(ids)} tokens, expected as many; {why}")
        try:
            states = np.array([told.vectors[at] for at in (*block.passage_positions, block.query_position)], np.float32)
        except (TypeError, ValueError) as error:
            raise self._refused(f"its vectors are not lists of numbers of one length ({error})") from error
        size = self._head.layout.hidden_size
        if states.shape[1:] != (size,) or not np.isfinite(states).all():
            raise self._refused(f"its vectors are {states.shape[1:]}, expected {size} finite numbers; {self._serve}")
        if np.allclose(np.linalg.norm(states, axis=1), 1.0, atol=1e-3):
            raise self._refused(
                "its vectors all have length 1, expected hidden states as they are; let it not scale them"
            )
        vectors = self._head.project(states)
        return ReadBlock(vectors[-1], vectors[:-1], told.tokens or len(ids), told.waited)

    async def _problem(self, budget: Budget) -> str:
        """What keeps the endpoint from being this model's layers, or nothing."""
        for passages in PROBES:
            laid = self._head.layout.lay_out(PROBE, passages, max_doc_tokens=64, max_block_tokens=PROBE_TOKENS)
            try:
                found = [await self.read(block, budget) for block in laid.blocks]
            except UnsuitableError as error:
                return (
                    f"{error.reason}; kind joint needs a server whose v1/embeddings gives the hidden state of every "
                    "token, as that of llama-cpp-python does with --embedding true"
                )
            if problem := misordered(passages, scores_of(found)):
                return f"{problem}; it runs other weights: {self._serve}"
        return ""

    def _refused(self, reason: str) -> UnsuitableError:
        return UnsuitableError(self.reference, reason)


def scores_of(blocks: Sequence[ReadBlock]) -> list[float]:
    """In [-1, 1], of all their passages in order."""
    return [float(s) for s in merge([one.query for one in blocks], [one.passages for one in blocks])]
