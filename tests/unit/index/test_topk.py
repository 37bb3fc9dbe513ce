"""The best rows, exactly."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from cascade.index.topk import best


@settings(deadline=None)
@given(st.lists(st.sampled_from([0.5, 1.0, 2.0, 3.5]), max_size=40), st.integers(1, 50))
def test_the_best_are_the_head_of_the_whole_order(scores: list[float], depth: int) -> None:
    rows = np.random.default_rng(0).permutation(len(scores)).astype(np.int64)
    found_rows, found_scores = best(np.array(scores, dtype=np.float32), rows, depth)
    whole = sorted(zip(rows.tolist(), scores, strict=True), key=lambda pair: (-pair[1], pair[0]))[:depth]
    assert list(zip(found_rows.tolist(), found_scores.tolist(), strict=True)) == whole
