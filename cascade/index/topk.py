"""The best rows by score, exactly: ties go to the lower row, which is the lower doc_id."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Rows = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]


def best(scores: Floats, rows: Rows, depth: int) -> tuple[Rows, Floats]:
    """The `depth` best of `rows` (n,) by `scores` (n,), best first; all of them when there are fewer."""
    if depth < len(scores):
        threshold = np.partition(scores, -depth)[-depth]
        above = np.flatnonzero(scores > threshold)
        level = np.flatnonzero(scores == threshold)
        level = level[np.argsort(rows[level], kind="stable")][: depth - len(above)]
        chosen = np.concatenate([above, level])
        scores, rows = scores[chosen], rows[chosen]
    order = np.lexsort((rows, -scores))
    return rows[order], scores[order]
