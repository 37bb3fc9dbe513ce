"""The joint model: one forward pass reads the query and a block of passages, and scores them all."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cascade.errors import ModelLoadError
from cascade.inference.device import hide_loading_bars, pick_device
from cascade.inference.model import ServedModel
from cascade.inference.rows import Lane, Rows
from cascade.inference.scored import PROBE, PROBE_ANSWER, PROBE_OTHER, Scored
from cascade.inference.stepwise import Stepwise, run_through
from cascade.rerank.listwise.blocks import Vectors, merge, split_into_blocks
from cascade.rerank.listwise.checkpoint import JointSettings, load_network
from cascade.rerank.listwise.control import cut
from cascade.rerank.listwise.memory import Memory
from cascade.rerank.listwise.prompt import Block, JointPrompt, load_prompt
from cascade.weights import resolve_model

if TYPE_CHECKING:
    from cascade.rerank.listwise.decoder import Decoder
    from cascade.rerank.listwise.network import JointNetwork
    from cascade.rerank.listwise.span import Span

_QUERY_SHARE = 0.25
_PROBE_TOKENS = 512
_MOST_BATCH_TOKENS = 4096
_WORTH = 64
"""Tokens that must be saved before a query is read in a pass of its own, which costs about as much as so many."""


class JointModel(ServedModel):
    """A folder that `cascade train listwise` wrote, over any causal language model. A context holds one request.

    Contexts of several requests share passes, and none can see another."""

    kind = "joint"
    most_step_tokens = 1024
    _network: JointNetwork
    _prompt: JointPrompt
    _settings: JointSettings
    _decoder: Decoder
    _lane: Lane[Span, tuple[Vectors, Vectors]]
    _instruction: Memory
    """Of what every prompt begins with, read once."""
    _most_tokens: int

    def _load(self) -> None:
        from transformers import AutoTokenizer

        from cascade.rerank.listwise.decoder import decoder_of, dtype_of
        from cascade.rerank.listwise.span import Span

        hide_loading_bars()
        folder = Path(resolve_model(self.reference))
        self._settings = JointSettings.read(folder)
        source = resolve_model(self._settings.base)
        device = pick_device(self.device)
        self._prompt = JointPrompt(
            AutoTokenizer.from_pretrained(source),
            load_prompt(self._settings.prompt),
            passage_marker=self._settings.passage_marker,
            query_marker=self._settings.query_marker,
        )
        self._network = load_network(folder, self._settings, source, dtype_of(self.wanted_backend, device)).to(device)
        self._decoder = decoder_of(self._network.backbone, self.wanted_backend, threads=self.threads)
        self.backend = self._decoder.backend
        self._lane = Lane(self._read, self.step_tokens(_MOST_BATCH_TOKENS))
        self._instruction = Memory()
        if instruction := self._prompt.instruction:
            self._read([Span(instruction, (), keep=self._instruction)])
        config: Any = self._network.backbone.config
        self._most_tokens = int(config.max_position_embeddings)
        self._self_test()

    def score(self, query: str, passages: Sequence[str], *, max_doc_tokens: int, max_block_tokens: int) -> Scored:
        """Scores in [-1, 1], in this thread."""
        return run_through(
            self.scoring(query, passages, max_doc_tokens=max_doc_tokens, max_block_tokens=max_block_tokens)
        )

    def scoring(
        self, query: str, passages: Sequence[str], *, max_doc_tokens: int, max_block_tokens: int
    ) -> Stepwise[Scored]:
        """As `score`, in passes that other requests' blocks may share.

        A query longer than a quarter of a block, or of what a block needs beside its shortest passage, is cut.
        """
        if not passages:
            return Scored((), 0, ())
        most = min(max_block_tokens, self._most_tokens)
        query_ids = cut(self._prompt.control.encode(query), int(most * _QUERY_SHARE))
        room = most - self._prompt.fixed_tokens(query_ids)
        longest = min(max_doc_tokens, room - self._prompt.passage_tokens(()))
        if longest < 1:
            raise ValueError(
                f"a block of {most} tokens has no room for a passage beside the query; raise max_block_tokens"
            )
        ids, seen = [], []
        for text in passages:
            whole = self._prompt.control.encode(text)
            ids.append(cut(whole, longest))
            seen.append((len(ids[-1]), len(whole)))
        lengths = [self._prompt.passage_tokens(one) for one in ids]
        blocks = [
            self._prompt.block(query_ids, [ids[i] for i in indices])
            for indices in split_into_blocks(lengths, room, most=self._settings.max_block_passages)
        ]
        front = yield from self._front(query_ids, len(blocks))
        rows: Rows[Span, tuple[Vectors, Vectors]] = Rows(
            self._lane, spans := [_span(block, front) for block in blocks], [len(one.ids) for one in spans]
        )
        yield rows
        queries, vectors = zip(*rows.results, strict=True)
        tokens = sum(rows.lengths) + (len(front) if front is not self._instruction else 0)
        return Scored(tuple(float(s) for s in merge(queries, vectors)), tokens, tuple(seen))

    def _front(self, query_ids: Sequence[int], blocks: int) -> Stepwise[Memory]:
        """What every block begins with: the instruction, and the query where so many blocks make that worth a pass."""
        from cascade.rerank.listwise.span import Span

        if (blocks - 1) * len(query_ids) < _WORTH:
            return self._instruction
        held, memory = len(self._instruction), Memory()
        span = Span(self._prompt.front(query_ids)[held:], (), self._instruction, held, memory)
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
        """The prompt is applied and the network has learned: markers are in place, and a known pair is in order."""
        encode = self._prompt.control.encode
        block = self._prompt.block(encode(PROBE), [encode(PROBE_OTHER), encode(PROBE_ANSWER)])
        markers = block.input_ids.count(self._prompt.passage_marker), block.input_ids.count(self._prompt.query_marker)
        if markers != (2, 1):
            raise ModelLoadError(
                self.reference,
                f"its prompt puts {markers[0]} passage and {markers[1]} query markers into a block of 2 passages, "
                "expected 2 and 1; choose markers that occur nowhere else in the prompt",
            )
        # Both orders, so that a network that looks at the position alone cannot pass.
        for passages in ((PROBE_OTHER, PROBE_ANSWER), (PROBE_ANSWER, PROBE_OTHER)):
            scores = self.score(PROBE, passages, max_doc_tokens=64, max_block_tokens=_PROBE_TOKENS).scores
            answer, other = scores[passages.index(PROBE_ANSWER)], scores[passages.index(PROBE_OTHER)]
            if not np.isfinite(scores).all() or answer <= other:
                raise ModelLoadError(
                    self.reference,
                    f"its self-test scored an answer {answer:.4f} and an unrelated passage {other:.4f}, expected the "
                    "answer above; the weights do not belong to this base or were not trained",
                )


def _span(block: Block, front: Memory) -> Span:
    """What of a block is to be read after `front`, and its markers, the query's last."""
    from cascade.rerank.listwise.span import Span

    held = len(front)
    markers = [*block.passage_positions, block.query_position]
    return Span(block.input_ids[held : block.query_position + 1], [at - held for at in markers], front, held)
