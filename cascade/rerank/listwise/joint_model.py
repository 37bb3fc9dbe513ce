"""The joint model: one forward pass reads the query and a block of passages, and scores them all."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from cascade.errors import ModelLoadError
from cascade.inference.device import hide_loading_bars, pick_device
from cascade.inference.model import ServedModel
from cascade.inference.rows import Lane, Rows
from cascade.inference.scored import PROBE, Scored
from cascade.inference.stepwise import Stepwise, run_through
from cascade.rerank.listwise.blocks import Vectors, merge
from cascade.rerank.listwise.checkpoint import load_network
from cascade.rerank.listwise.joint_layout import PROBE_TOKENS, PROBES, JointLayout, misordered
from cascade.rerank.listwise.memory import Memory
from cascade.rerank.listwise.prompt import Block

if TYPE_CHECKING:
    from cascade.rerank.listwise.decoder import Decoder
    from cascade.rerank.listwise.network import JointNetwork
    from cascade.rerank.listwise.span import Span

_MOST_BATCH_TOKENS = 4096
_WORTH = 64
"""Tokens that must be saved before a query is read in a pass of its own, which costs about as much as so many."""


class JointModel(ServedModel):
    """A folder that `cascade train listwise` wrote, over any causal language model. A context holds one request.

    Contexts of several requests share passes, and none can see another."""

    kind = "joint"
    most_step_tokens = 1024
    _network: JointNetwork
    _layout: JointLayout
    _decoder: Decoder
    _lane: Lane[Span, tuple[Vectors, Vectors]]
    _instruction: Memory
    """Of what every prompt begins with, read once."""

    def _load(self) -> None:
        import torch

        from cascade.inference.towers.records import fingerprint
        from cascade.rerank.listwise.choice import chosen
        from cascade.rerank.listwise.decoder import decoder_of, dtype_of
        from cascade.rerank.listwise.span import Span

        hide_loading_bars()
        layout = self._layout = JointLayout(self.reference)
        device = pick_device(self.device)
        dtype = dtype_of(self.wanted_backend, device)
        self._network = load_network(layout.folder, layout.settings, layout.source, dtype).to(device)
        backbone = self._network.backbone
        self.weights = fingerprint(self._network, self.kind, torch.bfloat16)
        backend = chosen(backbone, self.wanted_backend, weights=self.weights, folder=layout.folder, name=self.reference)
        self._decoder = decoder_of(backbone, backend, threads=self.threads)
        self.backend = self._decoder.backend
        self._lane = Lane(self._read, self.step_tokens(_MOST_BATCH_TOKENS))
        self._instruction = Memory()
        if instruction := layout.prompt.instruction:
            self._read([Span(instruction, (), keep=self._instruction)])
        self._self_test()

    def score(self, query: str, passages: Sequence[str], *, max_doc_tokens: int, max_block_tokens: int) -> Scored:
        """Scores in [-1, 1], in this thread."""
        return run_through(
            self.scoring(query, passages, max_doc_tokens=max_doc_tokens, max_block_tokens=max_block_tokens)
        )

    def scoring(
        self, query: str, passages: Sequence[str], *, max_doc_tokens: int, max_block_tokens: int
    ) -> Stepwise[Scored]:
        """As `score`, in passes that other requests' blocks may share; laid out as `JointLayout` does."""
        if not passages:
            return Scored((), 0, ())
        laid = self._layout.lay_out(query, passages, max_doc_tokens=max_doc_tokens, max_block_tokens=max_block_tokens)
        front = yield from self._front(laid.query_ids, len(laid.blocks))
        rows: Rows[Span, tuple[Vectors, Vectors]] = Rows(
            self._lane, spans := [_span(block, front) for block in laid.blocks], [len(one.ids) for one in spans]
        )
        yield rows
        queries, vectors = zip(*rows.results, strict=True)
        tokens = sum(rows.lengths) + (len(front) if front is not self._instruction else 0)
        return Scored(tuple(float(s) for s in merge(queries, vectors)), tokens, laid.seen)

    def _front(self, query_ids: Sequence[int], blocks: int) -> Stepwise[Memory]:
        """What every block begins with: the instruction, and the query where so many blocks make that worth a pass."""
        from cascade.rerank.listwise.span import Span

        if (blocks - 1) * len(query_ids) < _WORTH:
            return self._instruction
        held, memory = len(self._instruction), Memory()
        span = Span(self._layout.prompt.front(query_ids)[held:], (), self._instruction, held, memory)
        yield Rows(self._lane, [span], [len(span.ids)])
        return memory

    def _read(self, spans: Sequence[Span]) -> list[tuple[Vectors, Vectors]]:
        """Of every block the query's vector and the passages', [out_size] and [n, out_size]; nothing of a front."""
        import torch

        start = time.perf_counter()
        with torch.inference_mode():
            states = self._decoder.read(spans)
            vectors = self._network.projector(torch.cat(states)).split([len(one) for one in states])
        found = [one.cpu().numpy() for one in vectors]
        passages = sum(max(0, len(one) - 1) for one in found)
        self.observe_batch(passages, sum(len(one.ids) for one in spans), time.perf_counter() - start)
        return [(one[-1], one[:-1]) if len(one) else (one, one) for one in found]

    def _self_test(self) -> None:
        """The network has learned: a known pair is in order."""
        for passages in PROBES:
            scores = self.score(PROBE, passages, max_doc_tokens=64, max_block_tokens=PROBE_TOKENS).scores
            if problem := misordered(passages, scores):
                raise ModelLoadError(
                    self.reference, f"{problem}; the weights do not belong to this base or were not trained"
                )


def _span(block: Block, front: Memory) -> Span:
    """What of a block is to be read after `front`, and its markers, the query's last."""
    from cascade.rerank.listwise.span import Span

    held = len(front)
    markers = [*block.passage_positions, block.query_position]
    return Span(block.input_ids[held : block.query_position + 1], [at - held for at in markers], front, held)
