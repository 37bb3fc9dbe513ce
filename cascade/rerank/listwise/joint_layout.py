"""How a request to a joint model is laid out in blocks, and by which blocks it is tested, wherever its layers run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cascade.errors import ModelLoadError
from cascade.inference.scored import PROBE, PROBE_ANSWER, PROBE_OTHER
from cascade.rerank.listwise.blocks import split_into_blocks
from cascade.rerank.listwise.checkpoint import JointSettings
from cascade.rerank.listwise.control import cut
from cascade.rerank.listwise.prompt import Block, JointPrompt, load_prompt
from cascade.weights import resolve_model

PROBE_TOKENS = 512
PROBES = ((PROBE_OTHER, PROBE_ANSWER), (PROBE_ANSWER, PROBE_OTHER))
"""Both orders, so that a network that looks at the position alone cannot pass."""

_QUERY_SHARE = 0.25


@dataclass(frozen=True, slots=True)
class Laid:
    """One request: its query's ids, its passages' blocks in order, and of each passage the tokens seen and all."""

    query_ids: list[int]
    blocks: list[Block]
    seen: tuple[tuple[int, int], ...]


class JointLayout:
    """The tokenizer, prompt and bounds of one folder that `cascade train listwise` wrote; nothing of its weights."""

    def __init__(self, reference: str) -> None:
        """Raises ModelLoadError for a folder that holds no joint model, or whose markers its prompt has elsewhere."""
        from transformers import AutoConfig, AutoTokenizer

        self.folder = Path(resolve_model(reference))
        self.settings = JointSettings.read(self.folder)
        self.source = resolve_model(self.settings.base)
        self.prompt = JointPrompt(
            AutoTokenizer.from_pretrained(self.source),
            load_prompt(self.settings.prompt),
            passage_marker=self.settings.passage_marker,
            query_marker=self.settings.query_marker,
        )
        config: Any = AutoConfig.from_pretrained(self.source)
        self.hidden_size = int(config.hidden_size)
        self._most_tokens = int(config.max_position_embeddings)
        if problem := self._problem():
            raise ModelLoadError(reference, problem)

    def lay_out(self, query: str, passages: Sequence[str], *, max_doc_tokens: int, max_block_tokens: int) -> Laid:
        """A query longer than a quarter of a block, or of what a block needs beside its shortest passage, is cut."""
        most = min(max_block_tokens, self._most_tokens)
        query_ids = cut(self.prompt.control.encode(query), int(most * _QUERY_SHARE))
        room = most - self.prompt.fixed_tokens(query_ids)
        longest = min(max_doc_tokens, room - self.prompt.passage_tokens(()))
        if longest < 1:
            raise ValueError(
                f"a block of {most} tokens has no room for a passage beside the query; raise max_block_tokens"
            )
        whole = [self.prompt.control.encode(text) for text in passages]
        ids = [cut(one, longest) for one in whole]
        lengths = [self.prompt.passage_tokens(one) for one in ids]
        blocks = [
            self.prompt.block(query_ids, [ids[i] for i in indices])
            for indices in split_into_blocks(lengths, room, most=self.settings.max_block_passages)
        ]
        return Laid(query_ids, blocks, tuple((len(one), len(all_)) for one, all_ in zip(ids, whole, strict=True)))

    def _problem(self) -> str:
        """What is wrong with the markers, or nothing."""
        encode = self.prompt.control.encode
        ids = self.prompt.block(encode(PROBE), [encode(passage) for passage in PROBES[0]]).input_ids
        markers = ids.count(self.prompt.passage_marker), ids.count(self.prompt.query_marker)
        if markers == (2, 1):
            return ""
        return (
            f"its prompt puts {markers[0]} passage and {markers[1]} query markers into a block of 2 passages, "
            "expected 2 and 1; choose markers that occur nowhere else in the prompt"
        )


def misordered(passages: Sequence[str], scores: Sequence[float]) -> str:
    """What is wrong with the scores of one of PROBES, or nothing."""
    answer, other = scores[passages.index(PROBE_ANSWER)], scores[passages.index(PROBE_OTHER)]
    if np.isfinite(scores).all() and answer > other:
        return ""
    return (
        f"its self-test scored an answer {answer:.4f} and an unrelated passage {other:.4f}, expected the answer above"
    )
