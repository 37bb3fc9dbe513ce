"""Whether a pair's score is the same to the last bit, whatever it was batched with."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import numpy as np

from cascade.bench.measure import Goal
from cascade.bench.result import Check
from cascade.bench.texts import Work

if TYPE_CHECKING:
    from cascade.inference.cross_encoder import CrossEncoderModel

ALL = Goal(floor=100, aim=100)
"""Per cent of the mixes."""

_TOKENS = 48  # of a pair at most: what decides is how many there are in a batch, and short ones are quick
_BATCHES = (64, 128, 256, 512)


def mixes(model: CrossEncoderModel, work: Work, count: int, seed: int) -> Check:
    """Score passages again in `count` random companies, in batches of random size, and compare the bits."""
    drawn = random.Random(seed)
    passages = list(work.passages)

    def scores(places: list[int], tokens: int) -> bytes:
        chosen = [passages[place] for place in places]
        found = model.score_pairs(work.query, chosen, max_length=_TOKENS, max_batch_tokens=tokens).scores
        return np.array(found, dtype=np.float64).tobytes()

    size = np.dtype(np.float64).itemsize
    alone = [scores([place], _BATCHES[0]) for place in range(len(passages))]
    same = 0
    for _ in range(count):
        places = drawn.sample(range(len(passages)), drawn.randint(2, min(8, len(passages))))
        found = scores(places, drawn.choice(_BATCHES))
        each = [found[start : start + size] for start in range(0, len(found), size)]
        same += each == [alone[place] for place in places]
    return Check(f"bit-identical scores over {count:,} random batch mixes", 100 * same / count, ALL, "more", "%")
