"""Turning user text into token ids that can never be a control token."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any


class ControlTokens:
    """The tokens of a tokenizer that steer the model, and the only door through which user text is tokenised.

    Invariant: no id that `encode` returns is in `ids`. Text is escaped first (a space breaks every control
    string, so that the words stay readable to the model) and the ids are checked after, because a tokenizer's own
    normalisation (full-width forms, for example) may rebuild a control string that the text did not contain.
    """

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        strings = {str(token) for token in tokenizer.added_tokens_decoder.values()}
        strings.update(str(token) for token in tokenizer.all_special_tokens)
        # One character cannot be broken by a space; such tokens are left to the check of the ids.
        breakable = (string for string in strings if len(string) > 1 and string.strip())
        self.strings: tuple[str, ...] = tuple(sorted(breakable, key=len, reverse=True))
        self.ids: frozenset[int] = frozenset(
            {int(i) for i in tokenizer.added_tokens_decoder} | {int(i) for i in tokenizer.all_special_ids}
        )
        self._pattern = re.compile("|".join(map(re.escape, self.strings)), re.IGNORECASE) if self.strings else None
        first = tokenizer.convert_ids_to_tokens(self.encode("a")[:1])
        # Some tokenizers begin every text with a space of their own, and would put in a second one.
        self._own_space = bool(first) and first[0].startswith("▁")

    def escape(self, text: str) -> str:
        """`text` with a space after the first character of every control string, nested and overlapping ones too."""
        if self._pattern is None:
            return text
        while True:
            escaped = self._pattern.sub(lambda match: f"{match[0][0]} {match[0][1:]}", text)
            if escaped == text:
                return text
            text = escaped

    def encode(self, text: str) -> list[int]:
        """The token ids of user text: no control token, none added before or after."""
        ids = self._tokenizer(self.escape(text), add_special_tokens=False, truncation=False, verbose=False)["input_ids"]
        return [int(i) for i in ids if int(i) not in self.ids]

    def encode_behind_space(self, text: str) -> list[int]:
        """As `encode`, of text that stands behind a space of ours, which is read with its first word.

        A space apart is a token that models hardly know before a word, and the word without it another one.
        """
        return self.encode(f" {text}" if text and not self._own_space else text)

    def encode_template(self, text: str) -> list[int]:
        """The token ids of text that we wrote: control strings become control tokens."""
        return [int(i) for i in self._tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"]]

    def id_of(self, string: str) -> int:
        """The one id of a control string; `ValueError` when the tokenizer does not know it as one token."""
        ids = self.encode_template(string)
        if len(ids) != 1 or ids[0] not in self.ids:
            raise ValueError(
                f"{string!r} is not one control token of this tokenizer (its ids: {ids}); name one of {self.strings}"
            )
        return ids[0]


def cut(ids: Sequence[int], most: int) -> list[int]:
    """The first `most` of `ids`; none when `most` is negative."""
    return list(ids[: max(0, most)])
