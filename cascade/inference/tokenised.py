"""Texts as token ids, which are the same for all tokenizers that have one fingerprint."""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Sequence
from typing import Any

import numpy as np

from cascade.stages import TokenisedText

__all__ = ["MOST_TOKENS", "TokenisedText", "Tokeniser", "fingerprint"]

MOST_TOKENS = 8192
"""Of one text; no tier reads more."""
_IDS = ("added_tokens", "normalizer", "pre_tokenizer", "model")
"""The parts of a tokenizer that make a text's ids; the others cut and pad it, and put special tokens around it."""


def fingerprint(tokenizer: Any) -> str:
    """Equal for Hugging Face tokenizers that give every text the same ids; empty for one that cannot be compared."""
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None:
        return ""
    parts = json.loads(backend.to_str())
    made_of = [parts.get(name) for name in _IDS] + [bool(getattr(tokenizer, "split_special_tokens", False))]
    return hashlib.blake2b(json.dumps(made_of, sort_keys=True).encode(), digest_size=16).hexdigest()


class Tokeniser:
    """A Hugging Face tokenizer's ids without special tokens, whatever else the tokenizer is told meanwhile.

    Many threads may use one at a time: it has a copy of the tokenizer that nobody tells to cut or pad.
    """

    def __init__(self, tokenizer: Any) -> None:
        self.fingerprint = fingerprint(tokenizer)
        self._tokenizer = copy.deepcopy(tokenizer)
        self._backend = getattr(self._tokenizer, "backend_tokenizer", None)
        if self._backend is not None:
            self._backend.no_truncation()
            self._backend.no_padding()
            self._backend.encode_special_tokens = bool(getattr(tokenizer, "split_special_tokens", False))
        self._dtype: type[np.uint16 | np.uint32] = np.uint16 if len(tokenizer) <= 2**16 else np.uint32

    def __call__(self, texts: Sequence[str]) -> list[TokenisedText]:
        """Of every text its first `MOST_TOKENS` ids, and how many it has."""
        return [TokenisedText(np.array(ids[:MOST_TOKENS], dtype=self._dtype), len(ids)) for ids in self._ids(texts)]

    def _ids(self, texts: Sequence[str]) -> list[list[int]]:
        if not texts:
            return []
        if self._backend is not None:
            return [one.ids for one in self._backend.encode_batch_fast(list(texts), add_special_tokens=False)]
        found = self._tokenizer(list(texts), add_special_tokens=False, truncation=False, verbose=False)
        ids: list[list[int]] = found["input_ids"]
        return ids
