"""Token ids as a text: a private character for each, which the file that `export-gguf` writes reads as that id.

A server takes texts, and no text says where one token of ours ends: a query behind "Query: " would be read with the
space before it, and a passage that was cut within a word as other tokens than the word has.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable

_FIRST = 0xF0000
"""Where Unicode's private planes begin: no normalisation changes their characters, and each takes four bytes."""

MOST_TOKENS = sys.maxunicode + 1 - _FIRST
"""The largest vocabulary that has a character for each token."""


def text_of(ids: Iterable[int]) -> str:
    """A character for each token."""
    return "".join(chr(_FIRST + one) for one in ids)
