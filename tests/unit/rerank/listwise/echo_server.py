"""A language model of words, and the answers of a completions server that echoes what it read with it."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from tests.unit.rerank.listwise.chat_server import Answer, Reply

_TOKEN = re.compile(r"\s?\w+|\s?[^\w\s]|\s")
_VOCABULARY = 1000


def tokens_of(text: str) -> list[str]:
    """Words with the space before them, marks, and what spaces are left."""
    return _TOKEN.findall(text)


def log_probability(token: str, before: Sequence[str]) -> float:
    """What followed the last word before is likely to follow it again, and what was said to be said again."""
    words = [one.strip().lower() for one in before]
    word = token.strip().lower()
    after = [b for a, b in pairwise(words) if a == words[-1]]
    again = after.count(word) / len(after) if after else 0.0
    said = words.count(word) / len(words) if words else 0.0
    return math.log(0.7 * again + 0.2 * said + 0.1 / _VOCABULARY)


def echoing(*, shift: int = 0, bos: str = "", written: Sequence[str] = (" the",), usage: bool = True) -> Answer:
    """A server that shows `bos` before the prompt and writes `written` after it.

    With `shift` it tells of each token how likely it is after that many of the tokens from itself on.
    """

    def answer(prompt: str) -> Reply:
        read = [*([bos] if bos else []), *tokens_of(prompt)]
        values = [log_probability(token, read[: place + shift]) for place, token in enumerate(read)]
        told = [*values, *(-1.0 for _ in written)]
        return echoed([*read, *written], [None, *told[1:]], written=len(written) if usage else None)

    return answer


def echoed(tokens: Sequence[str], values: Sequence[float | None], *, written: int | None = 1) -> Reply:
    """An answer that tells these tokens; without usage where nothing is known to be written."""
    logprobs = {"tokens": list(tokens), "token_logprobs": list(values), "text_offset": [0] * len(tokens)}
    body: dict[str, Any] = {"choices": [{"text": "".join(tokens), "logprobs": logprobs}]}
    if written is not None:
        body["usage"] = {"completion_tokens": written, "total_tokens": len(tokens)}
    return Reply(200, json.dumps(body))
