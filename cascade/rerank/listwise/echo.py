"""Which of the tokens that a server read are the query's, and how likely the model found them."""

from __future__ import annotations

import math
import re
from bisect import bisect_left
from itertools import accumulate

from cascade.rerank.listwise.endpoint import Echo

_UNSURE = re.compile(r"[^!-~]")
"""What servers show differently: spaces, and the halves of characters that take several tokens."""


def query_log_probabilities(echo: Echo, before: str, query: str) -> list[float]:
    """Of each token of `query`, which stands last in what was read and follows `before`.

    The space between is the query's, as it is the first token's in most vocabularies. Places are found by the visible
    ASCII characters alone, whatever token the server may have put before the text. Raises ValueError that says what is
    wrong with the echo.
    """
    shown = [_UNSURE.sub("", token) for token, _ in echo.read]
    said, first = _UNSURE.sub("", before + query), _UNSURE.sub("", before)
    start = "".join(shown).find(said)
    if start < 0:
        raise ValueError(f"the tokens that it tells read {''.join(token for token, _ in echo.read)[-80:]!r}")
    ends = list(accumulate(map(len, shown)))
    begin = bisect_left(ends, start + len(first))
    if ends[begin] == start + len(first):
        begin += 1
    end = bisect_left(ends, start + len(said)) + 1
    while end < len(shown) - echo.written and not shown[end]:  # the rest of a query that ends in other characters
        end += 1
    values = [value for _, value in echo.read[begin:end] if value is not None and math.isfinite(value)]
    if not values or len(values) < end - begin:
        raise ValueError(f"of the query's {end - begin} tokens it tells {len(values)} log-probabilities")
    return values
