"""What a model that scores passages answers, and the pair that it must order right before it is used."""

from __future__ import annotations

from dataclasses import dataclass

PROBE = "what is the capital of france"
PROBE_ANSWER = "Paris is the capital and largest city of France."
PROBE_OTHER = "Add two eggs to the flour and stir until the dough is smooth."


@dataclass(frozen=True, slots=True)
class Scored:
    """Scores of n passages in order, tokens read in all, and for each passage the tokens seen and those it has.

    `cached` counts vectors that were remembered instead of computed.
    """

    scores: tuple[float, ...]
    tokens: int
    seen: tuple[tuple[int, int], ...]
    cached: int = 0
