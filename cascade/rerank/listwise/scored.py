"""What a listwise model answers, whichever kind it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cascade.types import Candidate, Truncation

PROBE = "what is the capital of france"
PROBE_ANSWER = "Paris is the capital and largest city of France."
PROBE_OTHER = "Add two eggs to the flour and stir until the dough is smooth."


@dataclass(frozen=True, slots=True)
class ListScores:
    """Scores of n passages in order, tokens read in all, and for each passage the tokens seen and those it has."""

    scores: tuple[float, ...]
    tokens: int
    seen: tuple[tuple[int, int], ...]


def cut(ids: Sequence[int], most: int) -> list[int]:
    """The first `most` of `ids`; none when `most` is negative."""
    return list(ids[: max(0, most)])


def truncations(stage: str, candidates: Sequence[Candidate], found: ListScores) -> tuple[Truncation, ...]:
    """The candidates of which the model did not see every token."""
    return tuple(
        Truncation(candidate.doc_id, stage, seen, total)
        for candidate, (seen, total) in zip(candidates, found.seen, strict=True)
        if seen < total
    )
