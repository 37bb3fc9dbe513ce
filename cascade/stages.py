"""What a stage is: protocols that retrievers, fusers and rerankers meet, and the values they return.

A stage receives values and returns values; it writes nothing back into its arguments. Life of a stage: a light
constructor, `warm_up()` once, calls, `aclose()`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from cascade.budget import Budget
from cascade.types import Candidate, Document, Query, Ranking, Truncation


@dataclass(frozen=True, slots=True)
class Usage:
    """What a call cost: seconds waited before work began, tokens read by a model, and documents cut short.

    `repairs` counts the documents that a listwise output had left out, doubled or invented. `incomplete` is empty, or
    a sentence that says how far a call came that ended early for lack of time: its scores are the best order so far.
    `cached` counts scores or vectors that were remembered instead of computed; `backend` is what ran the model.
    """

    queue_time: float = 0.0
    tokens: int = 0
    truncations: tuple[Truncation, ...] = ()
    repairs: int = 0
    incomplete: str = ""
    cached: int = 0
    backend: str = ""


@dataclass(frozen=True, slots=True)
class Retrieval:
    """A retriever's answer: a ranking of at most `depth` documents."""

    ranking: Ranking
    usage: Usage = Usage()


@dataclass(frozen=True, slots=True)
class Scores:
    """A reranker's answer: one finite score per candidate, in the order the candidates came."""

    values: tuple[float, ...]
    usage: Usage = Usage()


@runtime_checkable
class Retriever(Protocol):
    """Finds the documents most likely to answer, cheap and wide."""

    async def retrieve(self, query: Query, *, depth: int, budget: Budget) -> Retrieval:
        """The best `depth` documents that meet `query.where`, best first."""
        ...


@runtime_checkable
class Fuser(Protocol):
    """Makes one ranking of several; pure."""

    def fuse(self, rankings: Mapping[str, Ranking]) -> Ranking:
        """One ranking of all documents in `rankings`, which are keyed by the name of the stage that made them."""
        ...


@runtime_checkable
class Reranker(Protocol):
    """Reads query and candidates together and scores them, better and dearer than the stage before."""

    async def score(self, query: Query, candidates: Sequence[Candidate], *, budget: Budget) -> Scores:
        """Score `candidates`, whose `text` is set; the engine ranks."""
        ...


@runtime_checkable
class DocumentSource(Protocol):
    """Where the text of candidates comes from."""

    async def fetch(self, doc_ids: Sequence[str]) -> Mapping[str, Document]:
        """The documents of `doc_ids` by id; one that is gone is left out."""
        ...


@runtime_checkable
class SupportsWarmUp(Protocol):
    """A stage with something to load before its first call."""

    async def warm_up(self) -> None:
        """Load models and check them; a second call does nothing. Raises ModelLoadError."""
        ...


@runtime_checkable
class SupportsCostEstimate(Protocol):
    """A reranker that can say beforehand how long a call would take."""

    def estimate_cost(self, query: Query, candidates: Sequence[Candidate], *, account: str = "") -> float:
        """Seconds the call would take if started now, from what calls took so far; 0 before there was one.

        What is remembered for `account`, the name of the budget's, takes none.
        """
        ...


@runtime_checkable
class SupportsClose(Protocol):
    """A stage that holds something to be released."""

    async def aclose(self) -> None:
        """Release it; a second call does nothing."""
        ...


@dataclass(frozen=True, slots=True)
class StoredVectors:
    """One document's token vectors, int8 (tokens, dimensions): times `scale` (tokens,) they have unit length.

    `tokens_total` is what the document has; `tokens_seen` is less where it was cut. Of vectors there may be more, for
    markers, or fewer, where a model keeps none for punctuation.
    """

    vectors: npt.NDArray[np.int8]
    scale: npt.NDArray[np.float32]
    tokens_seen: int
    tokens_total: int


@runtime_checkable
class TokenVectors(Protocol):
    """Token vectors that were made when the documents were indexed."""

    reference: str
    """The model that made them."""

    def fetch(self, doc_ids: Sequence[str]) -> Mapping[str, StoredVectors]:
        """The token vectors of `doc_ids`; a document without any is left out. May read from disk."""
        ...


@dataclass(frozen=True, slots=True)
class TokenisedText:
    """A text's first token ids, without special tokens, and how many it has in all, which may be more."""

    ids: npt.NDArray[np.uint16 | np.uint32]
    total: int


@runtime_checkable
class TokenIds(Protocol):
    """Token ids that were made when the documents were indexed."""

    tokenizer: str
    """The fingerprint of the tokenizer that made them."""

    def fetch(self, doc_ids: Sequence[str]) -> Mapping[str, TokenisedText]:
        """The token ids of the passages of `doc_ids`; a document without any is left out. May read from disk."""
        ...


@dataclass(frozen=True, slots=True)
class Corpus:
    """What one request ranks: a fixed set of documents, and the retrievers over it by stage name.

    With `whole`, every document takes part: no retriever and no fusion cuts any away, and tiers rerank the head.
    """

    retrievers: Mapping[str, Retriever]
    documents: DocumentSource
    size: int
    version: str = ""
    whole: bool = False
    token_vectors: TokenVectors | None = None
    token_ids: TokenIds | None = None


@runtime_checkable
class SupportsCorpus(Protocol):
    """A reranker that can use what a corpus holds beside texts."""

    def over(self, corpus: Corpus) -> Reranker:
        """A reranker for requests over `corpus`; this one stays as it is."""
        ...
