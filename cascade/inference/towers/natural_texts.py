"""Queries and passages of natural length and mixed subjects, which we wrote to calibrate and to time models with."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from importlib import resources

from cascade.inference.towers.strip import Strip, Tokens

Reader = Callable[[str, str], Sequence[Tokens]]
"""How a model reads a query and a passage: as one sequence, or as two."""


def pairs() -> list[tuple[str, str]]:
    """Every query with a passage that answers it; no model is trained or measured on them."""
    lines = resources.files(__package__).joinpath("natural_texts.jsonl").read_text(encoding="utf-8").splitlines()
    return [(row["query"], row["passage"]) for row in map(json.loads, lines)]


def natural_strips(read: Reader, *, most_tokens: int = 512) -> list[Strip]:
    """All pairs as a model reads them, some together in each strip."""
    strips: list[Strip] = []
    held: list[Tokens] = []
    for query, passage in pairs():
        for tokens in read(query, passage):
            if held and sum(one.length for one in held) + tokens.length > most_tokens:
                strips.append(Strip.of(held))
                held = []
            held.append(tokens)
    return [*strips, Strip.of(held)]
