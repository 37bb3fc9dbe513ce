"""The special tokens that a tokenizer puts around one text or two."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from cascade.inference.towers.strip import Tokens

Ids = Sequence[int] | npt.NDArray[Any]

_PROBES = (("a", "b"), ("the cat sat", "on a mat, twice"))


@dataclass(frozen=True, slots=True)
class Template:
    """What stands before, between and after the texts.

    `types` are the token types of before, the first text, between, the second text and after; `only_first` is that of
    the sequences.
    """

    before: tuple[int, ...]
    between: tuple[int, ...]
    after: tuple[int, ...]
    types: tuple[tuple[int, ...], int, tuple[int, ...], int, tuple[int, ...]]
    only_first: bool = False

    @property
    def size(self) -> int:
        """How many special tokens there are."""
        return len(self.before) + len(self.between) + len(self.after)

    def without_types(self) -> Template:
        """The same for a model that knows one token type."""
        before, between, after = ((0,) * len(part) for part in (self.before, self.between, self.after))
        return replace(self, types=(before, 0, between, 0, after))

    def tokens(self, first: Ids, second: Ids = ()) -> Tokens:
        """The sequence that a model reads; all of one part."""
        ids = np.concatenate([self.before, first, self.between, second, self.after]).astype(np.int64)
        of_first, of_second = [self.types[1]] * len(first), [self.types[3]] * len(second)
        types = [*self.types[0], *of_first, *self.types[2], *of_second, *self.types[4]]
        zeros = np.zeros(len(ids), dtype=np.int64)
        positions = np.arange(len(ids), dtype=np.int64)
        return Tokens(ids, positions, np.asarray(types, dtype=np.int64), zeros, self.only_first)


def template_of(tokenizer: Any, texts: int) -> Template | None:
    """That of a Hugging Face tokenizer, by trial; None where it does not only put tokens around texts.

    None also where it cuts texts from the left, or asks for token types that depend on more than the text.
    """
    if tokenizer.truncation_side != "right" or not tokenizer.is_fast:
        return None
    first, second = (_ids(tokenizer, text) for text in _PROBES[0])
    ids, types = _marked(tokenizer, _PROBES[0][:texts])
    found = _split(ids, types, first, second if texts == 2 else [])
    if found is None:
        return None
    for probe in _PROBES:
        parts = [_ids(tokenizer, text) for text in probe[:texts]]
        ids, types = _marked(tokenizer, probe[:texts])
        made = found.tokens(*parts)
        if made.ids.tolist() != ids or made.types.tolist() != types:
            return None
    return found


def _split(ids: list[int], types: list[int], first: list[int], second: list[int]) -> Template | None:
    """Where the texts are in what the tokenizer made of them."""
    start = _find(ids, first, 0)
    if start is None or not first:
        return None
    end = start + len(first)
    if not second:
        return Template(
            tuple(ids[:start]), (), tuple(ids[end:]), (tuple(types[:start]), types[start], (), 0, tuple(types[end:]))
        )
    place = _find(ids, second, end)
    if place is None:
        return None
    last = place + len(second)
    return Template(
        tuple(ids[:start]),
        tuple(ids[end:place]),
        tuple(ids[last:]),
        (tuple(types[:start]), types[start], tuple(types[end:place]), types[place], tuple(types[last:])),
    )


def _find(ids: list[int], part: list[int], start: int) -> int | None:
    places = range(start, len(ids) - len(part) + 1)
    return next((place for place in places if ids[place : place + len(part)] == part), None)


def _ids(tokenizer: Any, text: str) -> list[int]:
    found: list[int] = tokenizer(text, add_special_tokens=False)["input_ids"]
    return found


def _marked(tokenizer: Any, texts: Sequence[str]) -> tuple[list[int], list[int]]:
    """Ids and types; types are 0 where the tokenizer gives a model none."""
    found = tokenizer(*texts)
    ids: list[int] = found["input_ids"]
    return ids, list(found["token_type_ids"]) if "token_type_ids" in found else [0] * len(ids)
