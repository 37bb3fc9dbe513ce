"""Keeps a reranker from counting shared words: answers that lose theirs, and near misses that are given them."""

from __future__ import annotations

import random
import re

_WORD = re.compile(r"[^\W_]+(?:['’-][^\W_]+)*")
_SENTENCE = re.compile(r"(?<=[.!?])\s+")
_ENDING = re.compile(r"(?:'s|’s|ing|ies|es|ed|s|y)$")
# fmt: off
_ASKING = frozenset({
    "a", "an", "and", "are", "as", "at", "be", "been", "by", "can", "could", "did", "do", "does", "for", "from",
    "had", "has", "have", "how", "i", "if", "in", "into", "is", "it", "its", "me", "my", "of", "on", "or", "our",
    "should", "so", "than", "that", "the", "their", "them", "there", "these", "they", "this", "to", "was", "we",
    "were", "what", "when", "where", "which", "who", "whom", "whose", "why", "will", "with", "would", "you", "your",
})
# fmt: on


def content_words(text: str) -> frozenset[str]:
    """The words of a text that say what it is about, lower-cased and without the commonest English endings."""
    words = (word.lower() for word in _WORD.findall(text))
    return frozenset(_stem(word) for word in words if word not in _ASKING)


def without_shared_words(query: str, passage: str, share: float, draw: random.Random) -> str:
    """`passage` with each content word that it has in common with `query` left out with the chance `share`.

    What is left of an answer still answers, but no longer by repeating the question.
    """
    asked = content_words(query)

    def keep(match: re.Match[str]) -> str:
        return "" if _stem(match[0].lower()) in asked and draw.random() < share else match[0]

    return re.sub(r"\s+", " ", _WORD.sub(keep, passage)).strip()


def near_miss(query: str, passage: str, draw: random.Random) -> str:
    """A sentence of `passage`, which does not answer, with the words of the question before or behind it."""
    words = _WORD.findall(query)
    while words and words[0].lower() in _ASKING:
        words.pop(0)
    repeated = " ".join(words)
    sentences = [sentence for sentence in _SENTENCE.split(passage) if sentence.strip()]
    parts = [repeated, draw.choice(sentences) if sentences else passage]
    draw.shuffle(parts)
    return " ".join(parts)


def _stem(word: str) -> str:
    shorter = _ENDING.sub("", word)
    return shorter if len(shorter) > 2 else word
