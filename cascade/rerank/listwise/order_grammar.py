"""Which tokens may come next while a language model writes an order, so that it cannot write anything else."""

from __future__ import annotations

from collections.abc import Sequence


class OrderGrammar:
    """Orders such as `2] > [1] > [3]`: every identifier at most once, a separator after each, the last one implied.

    Invariant: no identifier goes on with the separator's first token, so that its end can always be told.
    """

    def __init__(self, identifiers: Sequence[Sequence[int]], separator: Sequence[int]) -> None:
        """The token ids of each identifier, and of what stands between two. Raises ValueError when they clash."""
        self.identifiers = tuple(tuple(ids) for ids in identifiers)
        self._place = {ids: place for place, ids in enumerate(self.identifiers)}
        self._separator = tuple(separator)
        if not all(self._place) or len(self._place) != len(identifiers) or not separator:
            raise ValueError("identifiers and separator need token ids, each identifier its own")
        if any(self._separator[0] in ids for ids in self._place):
            raise ValueError(f"token {separator[0]} ends an identifier and stands in one; use another separator")

    def allowed(self, written: Sequence[int]) -> list[int]:
        """The ids that may follow `written`, which this grammar allowed; none when at most one place is left."""
        named, begun, within = self._read(written)
        if len(self._place) - len(named) <= 1:
            return []
        if within:
            return [self._separator[within]]
        left = [ids for ids, place in self._place.items() if place not in named]
        following = {ids[len(begun)] for ids in left if len(ids) > len(begun) and ids[: len(begun)] == begun}
        return sorted(following) + ([self._separator[0]] if begun in left else [])

    def named(self, written: Sequence[int]) -> list[int]:
        """The places of the identifiers in `written`, best first; the last one too, when no other is left."""
        named = self._read(written)[0]
        left = [place for place in self._place.values() if place not in named]
        return named + left if len(left) == 1 else named

    def longest(self) -> int:
        """The most tokens that an order takes."""
        return sum(len(ids) + len(self._separator) for ids in self._place)

    def _read(self, written: Sequence[int]) -> tuple[list[int], tuple[int, ...], int]:
        """The places named so far, the identifier that is begun, and how many tokens of a separator stand after it."""
        named: list[int] = []
        begun: tuple[int, ...] = ()
        within = 0
        for token in written:
            if within:
                within = (within + 1) % len(self._separator)
            elif token == self._separator[0]:
                named.append(self._place[begun])
                begun, within = (), 1 % len(self._separator)
            else:
                begun += (token,)
        return named, begun, within
