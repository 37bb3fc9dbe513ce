"""The prompt of the joint kind: a query, passages that each end in a marker, the query again with its own marker."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any

from cascade.rerank.listwise.control import ControlTokens


def load_prompt(name: str) -> str:
    """The text of a prompt file of this package, such as `joint-v1`."""
    return resources.files(__package__).joinpath("prompts").joinpath(f"{name}.txt").read_text(encoding="utf-8")


def around(control: ControlTokens, text: str, placeholder: str) -> tuple[list[int], list[int]]:
    """The token ids before and after `placeholder` in a part of a prompt, where it stands exactly once."""
    if text.count(placeholder) != 1:
        raise ValueError(f"this part of the prompt needs {placeholder!r} exactly once: {text!r}")
    before, after = text.split(placeholder)
    return control.encode_template(before), control.encode_template(after)


@dataclass(frozen=True, slots=True)
class Block:
    """One context: `input_ids` with a marker at each of `passage_positions` (in order) and at `query_position`."""

    input_ids: list[int]
    passage_positions: list[int]
    query_position: int


class JointPrompt:
    """Lays out blocks. Invariant: the passage marker stands once per passage and the query marker once, at the end."""

    def __init__(self, tokenizer: Any, template: str, *, passage_marker: str, query_marker: str) -> None:
        parts = template.rstrip("\n").split("\n---\n")
        if len(parts) != 3:
            raise ValueError(
                f"a joint prompt has 3 parts between lines of '---' (head, passage, tail); found {len(parts)}"
            )
        head, passage, tail = parts
        self.control = ControlTokens(tokenizer)
        self.passage_marker = self.control.id_of(passage_marker)
        self.query_marker = self.control.id_of(query_marker)
        if self.passage_marker == self.query_marker:
            raise ValueError(f"passage and query marker are both {passage_marker!r}; they must differ")
        self._head = around(self.control, head + "\n", "{query}")
        before, after = around(self.control, passage + "\n", "{passage}{marker}")
        self._passage = before, after
        self._tail = around(self.control, tail, "{query}{marker}")

    @property
    def instruction(self) -> list[int]:
        """What every block begins with."""
        return self._head[0]

    def front(self, query_ids: Sequence[int]) -> list[int]:
        """What every block of a query begins with."""
        return [*self._head[0], *query_ids, *self._head[1]]

    def fixed_tokens(self, query_ids: Sequence[int]) -> int:
        """How many tokens a block takes before its first passage is counted."""
        return sum(map(len, (*self._head, *self._tail))) + 2 * len(query_ids) + 1

    def passage_tokens(self, passage_ids: Sequence[int]) -> int:
        """How many tokens one passage takes in a block, its marker included."""
        return sum(map(len, self._passage)) + len(passage_ids) + 1

    def block(self, query_ids: Sequence[int], passages: Sequence[Sequence[int]]) -> Block:
        """One context from ids that `control.encode` gave."""
        ids = [*self._head[0], *query_ids, *self._head[1]]
        positions = []
        for passage_ids in passages:
            ids += [*self._passage[0], *passage_ids, self.passage_marker]
            positions.append(len(ids) - 1)
            ids += self._passage[1]
        ids += [*self._tail[0], *query_ids, self.query_marker]
        query_position = len(ids) - 1
        return Block([*ids, *self._tail[1]], positions, query_position)
