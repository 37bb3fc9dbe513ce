"""What a model is given of each candidate: token ids, from the index where they are its own, or the text."""

from __future__ import annotations

from collections.abc import Sequence

from cascade.inference.caches import Memory
from cascade.inference.model import ServedModel
from cascade.stages import TokenIds, TokenisedText
from cascade.types import Candidate


class CandidateIds:
    """Gives them for one model; `held` is what the corpus has, whoever made it."""

    def __init__(self, model: ServedModel, held: TokenIds | None = None) -> None:
        self._model = model
        self._held = held

    def __call__(self, candidates: Sequence[Candidate], memory: Memory) -> Sequence[str | TokenisedText]:
        """Of every candidate its token ids, or its text where the model is given texts. Loads the model.

        Ids that the model's own tokenizer made when the document was indexed are a copy of what it would make now.
        """
        tokeniser = self._model.tokeniser()
        if tokeniser is None:
            return [c.text or "" for c in candidates]
        kept: dict[str, TokenisedText] = {}
        if self._held is not None and tokeniser.fingerprint and self._held.tokenizer == tokeniser.fingerprint:
            kept.update(self._held.fetch([c.doc_id for c in candidates]))
        rest = [c for c in candidates if c.doc_id not in kept]
        made = memory.tokenised(tokeniser, [c.text or "" for c in rest])
        kept.update((c.doc_id, ids) for c, ids in zip(rest, made, strict=True))
        return [kept[c.doc_id] for c in candidates]
