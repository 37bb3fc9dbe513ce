"""Prompts for language models that were taught to chat: the model's own template, our words, users' texts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from cascade.rerank.listwise.control import ControlTokens

_PLACE = "cascade-content"

Piece = str | Sequence[int]
"""Text that we wrote, or the ids of a user's text as `Chat.text` gave them."""


class Chat:
    """Turns pieces into token ids of one user turn that asks for an answer. User text cannot end that turn.

    `templated` says whether the tokenizer has a chat template; without one the pieces stand for themselves.
    """

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        self.control = ControlTokens(tokenizer)
        self.templated = bool(getattr(tokenizer, "chat_template", None))
        self.before, self.after = self._around()
        self._ours: dict[str, list[int]] = {}

    @property
    def end_ids(self) -> tuple[int, ...]:
        """Ids that end an answer."""
        closing = [i for i in self.after[:1] if i in self.control.ids]
        ends = self._tokenizer.eos_token_id
        return tuple(dict.fromkeys([*([] if ends is None else [int(ends)]), *closing]))

    def text(self, text: str, most: int | None = None, *, spaced: bool = True) -> tuple[list[int], int]:
        """The ids of a user's text, at most `most`, and how many it has; `spaced` puts a space before it."""
        ids = self.control.encode_behind_space(text) if spaced else self.control.encode(text)
        return ids[:most], len(ids)

    def ours(self, text: str) -> list[int]:
        """The ids of text that we wrote."""
        found = self._ours.get(text)
        if found is None:
            found = self._ours[text] = self.control.encode_template(text)
        return found

    def prompt(self, pieces: Iterable[Piece], *, start: str = "") -> list[int]:
        """The ids of a turn made of `pieces`, up to the answer's first token; the answer begins with `start`."""
        ids = list(self.before)
        for piece in pieces:
            ids += self.ours(piece) if isinstance(piece, str) else piece
        return [*ids, *self.after, *self.ours(start)]

    def read(self, ids: Sequence[int]) -> str:
        """The text of generated ids."""
        return str(self._tokenizer.decode(list(ids), skip_special_tokens=True))

    def written(self, ids: Sequence[int]) -> str:
        """The text of the ids of a prompt, control tokens and all."""
        return str(self._tokenizer.decode(list(ids), skip_special_tokens=False))

    def templated_text(self, said: str) -> str:
        """What the tokenizer itself writes for a user who says `said`, up to where the answer begins."""
        if not self.templated:
            return self.written(self.before) + said + self.written(self.after)
        # A model that can think first would: the first token of its answer is what is read.
        return str(
            self._tokenizer.apply_chat_template(
                [{"role": "user", "content": said}], add_generation_prompt=True, tokenize=False, enable_thinking=False
            )
        )

    def _around(self) -> tuple[list[int], list[int]]:
        """The ids before and after what the user says. Raises ValueError for a template that drops or repeats it."""
        if not self.templated:
            bos = self._tokenizer.bos_token_id
            begins = bos is not None and self._tokenizer("a")["input_ids"][:1] == [bos]
            return ([int(bos)] if begins else []), self.control.encode_template("\n")
        text = self.templated_text(_PLACE)
        if text.count(_PLACE) != 1:
            raise ValueError(f"its chat template shows what the user says {text.count(_PLACE)} times, expected once")
        before, after = text.split(_PLACE)
        return self.control.encode_template(before), self.control.encode_template(after)
