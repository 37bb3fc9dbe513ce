"""What models remember of their work: query vectors, scores and token ids, of each model and account apart."""

from __future__ import annotations

import hashlib
import itertools
import struct
from collections.abc import Iterator, Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt

from cascade.inference.cache import ByteCache
from cascade.inference.scored import Scored
from cascade.stages import TokenisedText

_NUMBERS = itertools.count()
_SCORE = struct.Struct("<dII")  # as bytes a third of what a tuple of numbers takes


Vectors = npt.NDArray[np.float32]


class Tokenises(Protocol):
    """What makes token ids, as `cascade.inference.tokenised.Tokeniser`."""

    fingerprint: str

    def __call__(self, texts: Sequence[str]) -> Sequence[TokenisedText]:
        """The ids of every text, in order."""
        ...


class Caches:
    """The caches that all models of a process share, together of `max_bytes`."""

    def __init__(self, max_bytes: int) -> None:
        self.query_vectors: ByteCache[bytes, Vectors] = ByteCache("query_vectors", max_bytes // 4)
        self.scores: ByteCache[bytes, bytes] = ByteCache("scores", max_bytes // 2)
        self.token_ids: ByteCache[bytes, TokenisedText] = ByteCache("token_ids", max_bytes // 4)

    def __iter__(
        self,
    ) -> Iterator[ByteCache[bytes, Vectors] | ByteCache[bytes, bytes] | ByteCache[bytes, TokenisedText]]:
        return iter((self.query_vectors, self.scores, self.token_ids))


class ModelCache:
    """What one model, as it was loaded, remembers; nothing at all without `caches`.

    Another model's entries are never met, nor those of a model that was loaded anew from the same place.
    """

    def __init__(self, caches: Caches | None) -> None:
        self._caches = caches
        self._number = next(_NUMBERS)

    def of(self, account: str) -> Memory:
        """What it remembers for an account.

        Accounts share nothing: how quick an answer is, and the count of what was remembered in its trace, would tell
        one tenant which queries another one asked, and queries can be guessed.
        """
        return Memory(self._caches, (self._number, account))


class Memory:
    """What one model remembers for one account."""

    def __init__(self, caches: Caches | None, whose: tuple[int, str]) -> None:
        self._caches = caches
        self._whose = whose

    def query(self, text: str, *settings: object) -> Vectors | None:
        """What `text` was encoded to by these settings."""
        return self._caches.query_vectors.get(self._query_key(text, settings)) if self._caches is not None else None

    def keep_query(self, vectors: Vectors, text: str, *settings: object) -> None:
        """Remember what `text` was encoded to by these settings; nobody may change `vectors` from now on."""
        if self._caches is not None:
            if vectors.base is not None:
                vectors = vectors.copy()  # a view would keep the whole batch that it was made in
            vectors.flags.writeable = False
            self._caches.query_vectors.put(self._query_key(text, settings), vectors)

    def scores(self, query: str, passages: Sequence[str], settings: tuple[object, ...] | None) -> KnownScores:
        """What is known of these pairs by these settings; nothing where they are None."""
        if self._caches is None or settings is None:
            return KnownScores(None, [b""] * len(passages))
        return KnownScores(self._caches.scores, self._score_keys(query, passages, settings))

    def without_score(self, query: str, passages: Sequence[str], settings: tuple[object, ...] | None) -> Sequence[int]:
        """The places of those of which `scores` would know nothing; no use of the others."""
        if self._caches is None or settings is None:
            return range(len(passages))
        keys = self._score_keys(query, passages, settings)
        return [place for place, key in enumerate(keys) if not self._caches.scores.holds(key)]

    def tokenised(self, tokeniser: Tokenises, texts: Sequence[str]) -> list[TokenisedText]:
        """The token ids of every text, made where they are not known."""
        if self._caches is None:
            return list(tokeniser(texts))
        # Of one tokenizer it does not matter which model has it.
        whose = (tokeniser.fingerprint or self._whose[0], self._whose[1])
        keys = _keys(("token_ids", *whose), texts)
        found = {place: kept for place, key in enumerate(keys) if (kept := self._caches.token_ids.get(key)) is not None}
        missing = [place for place in range(len(texts)) if place not in found]
        for place, made in zip(missing, tokeniser([texts[place] for place in missing]), strict=True):
            found[place] = made
            self._caches.token_ids.put(keys[place], made)
        return [found[place] for place in range(len(texts))]

    def _score_keys(self, query: str, passages: Sequence[str], settings: tuple[object, ...]) -> list[bytes]:
        return _keys(("scores", *self._whose, settings, query), passages)

    def _query_key(self, text: str, settings: tuple[object, ...]) -> bytes:
        return _digest(("query", *self._whose, settings, text))


class KnownScores:
    """The scores of some pairs: those that were remembered, and then those that were computed."""

    def __init__(self, cache: ByteCache[bytes, bytes] | None, keys: Sequence[bytes]) -> None:
        self._cache = cache
        self._keys = keys
        self._found: dict[int, tuple[float, int, int]] = {}
        if cache is not None:
            for place, key in enumerate(keys):
                if (kept := cache.get(key)) is not None:
                    self._found[place] = _SCORE.unpack(kept)
        self.cached = len(self._found)

    @property
    def missing(self) -> list[int]:
        """The places of pairs that have no score yet, ascending."""
        return [place for place in range(len(self._keys)) if place not in self._found]

    def add(self, computed: Scored) -> None:
        """The scores of all that were missing, in order; they are remembered."""
        for place, score, (seen, total) in zip(self.missing, computed.scores, computed.seen, strict=True):
            self._found[place] = score, seen, total
            if self._cache is not None:
                self._cache.put(self._keys[place], _SCORE.pack(score, seen, total))

    @property
    def scores(self) -> tuple[float, ...]:
        """Of every pair, in order."""
        return tuple(self._found[place][0] for place in range(len(self._keys)))

    @property
    def seen(self) -> list[tuple[int, int]]:
        """Of every passage the tokens seen and those it has."""
        return [self._found[place][1:] for place in range(len(self._keys))]


def _keys(whose: tuple[object, ...], texts: Sequence[str]) -> list[bytes]:
    """One for each text, 16 bytes; equal for what is equal in all respects."""
    key = _digest(whose)
    return [hashlib.blake2b(text.encode(errors="surrogatepass"), key=key, digest_size=16).digest() for text in texts]


def _digest(parts: tuple[object, ...]) -> bytes:
    return hashlib.blake2b(repr(parts).encode(), digest_size=16).digest()
