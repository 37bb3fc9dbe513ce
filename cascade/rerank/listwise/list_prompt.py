"""The prompt that shows a list of passages, each under an identifier, and asks for the identifier of the best."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from string import ascii_uppercase
from typing import TypeVar

from cascade.rerank.listwise.chat import Chat, Piece
from cascade.rerank.listwise.prompt import load_prompt

T = TypeVar("T")

LETTERS = ascii_uppercase
"""Identifiers in order: each a single token in nearly every vocabulary, and never part of a longer one."""

_PARTS = "head, passage, tail, answer"


class ListPrompt:
    """A prompt file in four parts between lines of '---': head, passage, tail, and the answer that we begin ourselves.

    Invariant: head or tail has {query}, the passage has {identifier} and after it one {passage}, and the answer ends in
    its {identifier}.
    `identifiers` are shown to the model in this order; there are no longer lists than that.
    Users' texts follow a space, which becomes theirs: a word's token usually begins with the space before it.
    """

    def __init__(self, name: str, identifiers: Sequence[str] = LETTERS) -> None:
        self.name = name
        self._identifiers = identifiers
        parts = load_prompt(name).rstrip("\n").split("\n---\n")
        if len(parts) != 4:
            raise ValueError(f"prompt {name} has {len(parts)} parts between lines of '---', expected 4: {_PARTS}")
        self._head, self._passage, tail = (part + "\n" for part in parts[:3])
        self._tail, self._answer = tail.rstrip("\n"), parts[3]
        self.start = self._answer.removesuffix("{identifier}").rstrip(" ")
        before, _, after = self._passage.partition(" {passage}")
        if before.count("{identifier}") != 1 or "{" in after or " {query}" not in self._head + self._tail:
            raise ValueError(f"prompt {name} lacks ' {{query}}', or {{identifier}} before one ' {{passage}}'")
        if not self._answer.endswith("{identifier}") or "{" in self.start:
            raise ValueError(f"prompt {name} has the answer {self._answer!r}, expected one that ends in {{identifier}}")
        self._before, self._after = before, after

    def text(self, query: str, passages: Sequence[str]) -> str:
        """What the user says, in words."""
        shown = (self._passage.replace("{identifier}", i).replace("{passage}", p) for i, p in self._named(passages))
        return "".join([self._head.replace("{query}", query), *shown, self._tail.replace("{query}", query)])

    def pieces(self, query: Sequence[int], passages: Sequence[Sequence[int]]) -> list[Piece]:
        """What the user says, for `Chat.prompt`, from ids that `Chat.text` gave."""
        pieces = _around(self._head, query)
        for identifier, passage in self._named(passages):
            pieces += [self._before.replace("{identifier}", identifier), passage, self._after]
        return [*pieces, *_around(self._tail, query)]

    def instruction(self, chat: Chat) -> list[int]:
        """What all prompts begin with, before any user's text."""
        return [*chat.before, *chat.ours(self._head.split(" {query}")[0])]

    def front(self, chat: Chat, query: Sequence[int], passage: Sequence[int]) -> int:
        """How many tokens a prompt has up to the end of its first passage."""
        before = _around(self._head, query)
        pieces = [*before, self._before.replace("{identifier}", self._identifiers[0]), passage]
        return len(chat.before) + sum(len(chat.ours(one) if isinstance(one, str) else one) for one in pieces)

    def room(self, chat: Chat, query_tokens: int, passages: int, most_tokens: int) -> int:
        """How many tokens of each of `passages` fit into a sequence of `most_tokens`; below 1 when none do."""
        query = list(range(query_tokens))
        fixed = chat.prompt(self.pieces(query, [()] * passages), start=self.start)
        return (most_tokens - len(fixed)) // max(1, passages)

    def answer(self, identifier: str) -> str:
        """An answer that names this identifier."""
        return self._answer.replace("{identifier}", identifier)

    def identifier_ids(self, chat: Chat) -> tuple[int, ...]:
        """The ids of the first identifiers, as the answer has them; as many as are single tokens in this vocabulary."""
        start = chat.ours(self.start)
        found: list[int] = []
        for identifier in self._identifiers:
            ids = chat.ours(self.answer(identifier))
            if ids[: len(start)] != start or len(ids) != len(start) + 1 or ids[-1] in found:
                break
            found.append(ids[-1])
        return tuple(found)

    def _named(self, passages: Sequence[T]) -> Iterator[tuple[str, T]]:
        if len(passages) > len(self._identifiers):
            raise ValueError(f"found a list of {len(passages)} passages, expected at most {len(self._identifiers)}")
        return zip(self._identifiers, passages, strict=False)


def _around(text: str, query: Sequence[int]) -> list[Piece]:
    first, *rest = text.split(" {query}")
    pieces: list[Piece] = [first]
    for part in rest:
        pieces += [query, part]
    return pieces
