"""Padded batches hold every token once, and little padding."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from cascade.inference.towers.padded import groups, padded_batches
from cascade.inference.towers.strip import Strip, Tokens

_lengths = st.lists(st.integers(1, 60), min_size=1, max_size=40)


@given(_lengths, st.integers(1, 300))
def test_every_sequence_is_in_one_group_within_the_budget(lengths: list[int], most: int) -> None:
    found = groups(lengths, most)
    assert sorted(index for group in found for index in group) == list(range(len(lengths)))
    for group in found:
        size = max(lengths[index] for index in group) * len(group)
        assert size <= most or len(group) == 1
        assert sum(lengths[index] for index in group) >= 0.9 * size


@given(_lengths)
def test_the_real_tokens_of_the_batches_are_those_of_the_strip(lengths: list[int]) -> None:
    rng = np.random.default_rng(0)
    strip = Strip.of([Tokens.single(rng.integers(5, 99, size=length).tolist()) for length in lengths])
    seen: list[int] = []
    for batch in padded_batches(strip, pad_id=3, most_tokens=100):
        seen += batch.tokens.tolist()
        assert batch.padding <= 0.1
        assert (batch.ids[batch.real] == strip.ids[batch.tokens]).all()
        assert (batch.positions[batch.real] == strip.positions[batch.tokens]).all()
        assert (batch.ids[~batch.real] == 3).all()
        assert (batch.parts[~batch.real] == -1).all()
    assert sorted(seen) == list(range(len(strip.ids)))
