"""Queries and documents to token vectors: what of a text is read, and which of its tokens have a vector."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import torch

from cascade.inference.library_vectors import LibraryVectors
from cascade.inference.reading import Reading
from cascade.inference.rows import Lane, Rows
from cascade.inference.token_head import Parts
from cascade.inference.tokenised import TokenisedText, Tokeniser
from cascade.inference.towers.strip import Strip, Tokens

Vectors = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Side:
    """How queries are read, or documents: what is put before them, and the most tokens of all together."""

    prompt: str
    prompt_ids: TokenisedText
    joins: bool
    """Whether the prompt's token ids and the text's are those of both together."""
    most: int


@dataclass(frozen=True, eq=False)
class Wanted:
    """Rows to be run, and of each text the tokens seen and those it has."""

    rows: Rows[Any, Vectors]
    seen: list[tuple[int, int]]
    kept: Callable[[int, Vectors], Vectors] = lambda row, vectors: vectors

    @property
    def tokens(self) -> int:
        """That are read, markers included."""
        return sum(self.rows.lengths)

    @property
    def vectors(self) -> list[Vectors]:
        """Those that are compared, of every text, after the rows were run."""
        return [self.kept(row, found) for row, found in enumerate(self.rows.results)]


class TokenVectorReader(Protocol):
    """Says what is to be run; who asks has it run."""

    def query(self, text: str, longest: int, most_tokens: int) -> Wanted:
        """Of a query cut at `longest` tokens, unless it is expanded."""
        ...

    def documents(self, texts: Sequence[str | TokenisedText], longest: int, most_tokens: int) -> Wanted:
        """Of documents cut at `longest` tokens, in batches of `most_tokens`."""
        ...


class TowerVectorReader:
    """Of a model that was taken apart. Documents may be token ids where the document prompt joins."""

    def __init__(
        self, parts: Parts, tokenise: Tokeniser, query: Side, document: Side, reading: Reading[Vectors]
    ) -> None:
        self._parts = parts
        self._tokenise = tokenise
        self._query = query
        self._document = document
        self._reading = reading
        self._unread: Lane[Tokens, Vectors] = Lane(self._run_unread, 1)

    def query(self, text: str, longest: int, most_tokens: int) -> Wanted:
        """As promised by `TokenVectorReader`."""
        (made,) = self._tokenise([self._query.prompt + text])
        expansion, most = self._parts.expansion, min(longest, self._query.most)
        if expansion is not None:
            most = expansion.length if expansion.fixed else max(self._query.most, expansion.length)
        tokens = self._cut(made, most)
        if expansion is not None:
            tokens = expansion.fill(tokens)
        lane = self._reading.lane(most_tokens) if (tokens.parts >= 0).all() else self._unread
        total = max(made.total - self._query.prompt_ids.total, 0)
        skips = self._parts.skips
        return Wanted(
            Rows(lane, [tokens], [tokens.length]),
            [(min(total, most), total)],
            lambda row, vectors: skips.kept(vectors, tokens, query=True),
        )

    def documents(self, texts: Sequence[str | TokenisedText], longest: int, most_tokens: int) -> Wanted:
        """As promised by `TokenVectorReader`."""
        side, most = self._document, min(longest, self._document.most)
        made = iter(self._tokenise([side.prompt + text for text in texts if isinstance(text, str)]))
        whole = [next(made) if isinstance(text, str) else _joined(side.prompt_ids, text) for text in texts]
        rows = [self._cut(one, most) for one in whole]
        room = max(most - self._parts.template.size - side.prompt_ids.total, 0)
        totals = [max(one.total - side.prompt_ids.total, 0) for one in whole]
        skips = self._parts.skips
        return Wanted(
            Rows(self._reading.lane(most_tokens), rows, [one.length for one in rows]),
            [(min(total, room), total) for total in totals],
            lambda row, vectors: skips.kept(vectors, rows[row], query=False),
        )

    def _cut(self, text: TokenisedText, most: int) -> Tokens:
        template = self._parts.template
        return template.tokens(text.ids[: max(most - template.size, 0)])

    def _run_unread(self, rows: Sequence[Tokens]) -> Sequence[Vectors]:
        """Of queries some of whose tokens no other reads, which no strip can say: in float32, each alone."""
        found = []
        backbone = self._parts.backbone
        device = next(backbone.parameters()).device  # where its tower has put it
        for row in rows:
            given = (torch.from_numpy(one)[None].to(device) for one in (row.ids, row.positions, row.types, row.parts))
            with torch.inference_mode():
                states = backbone(*given)[0].float().cpu().numpy()
            found += self._parts.head(states, Strip.of([row]))
        return found


class LibraryVectorReader:
    """Of a model that runs as its library runs it."""

    def __init__(
        self, vectors: LibraryVectors, tokenise: Tokeniser, query: Side, document: Side, special: int, alone: bool
    ) -> None:
        self._vectors = vectors
        self._tokenise = tokenise
        self._query = query
        self._document = document
        self._special = special
        self._alone = alone

    def query(self, text: str, longest: int, most_tokens: int) -> Wanted:
        """As promised by `TokenVectorReader`."""
        return self._wanted([text], self._query, longest, most_tokens)

    def documents(self, texts: Sequence[str | TokenisedText], longest: int, most_tokens: int) -> Wanted:
        """As promised by `TokenVectorReader`; only of texts."""
        return self._wanted([str(text) for text in texts], self._document, longest, most_tokens)

    def _wanted(self, texts: Sequence[str], side: Side, longest: int, most_tokens: int) -> Wanted:
        most, beside = min(longest, side.most), self._special + side.prompt_ids.total
        totals = [made.total for made in self._tokenise(texts)]
        seen = [(min(total, max(most - beside, 0)), total) for total in totals]
        lengths = [read + beside for read, _ in seen]
        lane = self._vectors.lane(side is self._query, most, 1 if self._alone else most_tokens)
        return Wanted(Rows(lane, list(zip(texts, lengths, strict=True)), lengths), seen)


def _joined(prompt: TokenisedText, text: TokenisedText) -> TokenisedText:
    if not prompt.total:
        return text
    return TokenisedText(np.concatenate([prompt.ids, text.ids]), prompt.total + text.total)
