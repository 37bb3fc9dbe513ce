"""Text to the terms that BM25 counts: the same for an index, for inline documents and for queries."""

from __future__ import annotations

import re
import threading
from typing import cast

RULES = "word-regex, lower case, Snowball English; 1"
"""Names these rules; what was built under other rules is built again."""

_WORD = re.compile(r"\w+")
_MOST_KEPT = 50_000  # stems; some 6 MB
_LONGEST_KEPT = 32  # letters
_local = threading.local()  # a stemmer is not safe to share between threads


def tokenize(text: str) -> list[str]:
    """The stems of all words of a passage, in order."""
    return _stem(_WORD.findall(text.lower()))


def tokenize_query(text: str) -> list[str]:
    """The stems of a query's words but for function words; of all its words when it has no others."""
    words = _WORD.findall(text.lower())
    return _stem([word for word in words if word not in FUNCTION_WORDS] or words)


class _Stems(dict[str, str]):
    """The stems of words met lately, so many at most; threads may ask at once.

    Looking one up takes a fifth of the time of finding it, and half of the words of a text are a few hundred.
    """

    def __missing__(self, word: str) -> str:
        if not hasattr(_local, "stemmer"):
            import Stemmer

            _local.stemmer = Stemmer.Stemmer("english", 0)
        stem = cast("str", _local.stemmer.stemWord(word))
        if len(word) <= _LONGEST_KEPT:
            if len(self) >= _MOST_KEPT:
                self.clear()
            self[word] = stem
        return stem


_stems = _Stems()


def _stem(words: list[str]) -> list[str]:
    return list(map(_stems.__getitem__, words))


_LISTING = """
a an the this that these those there it its they them their he she his her we our you your i me my
and or but if so as than not no of in on at by to from for with into about such
is are was were be been being am do does did doing have has had having can could will would shall should may might
who whom whose what which when where why how
"""
FUNCTION_WORDS = frozenset(_LISTING.split())
"""Words that say how a question is put, not what it is about."""
