"""What is read in one pass of a language model: tokens of several callers, laid end to end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from cascade.rerank.listwise.attention import attend

if TYPE_CHECKING:
    from cascade.rerank.listwise.memory import Memory


@dataclass(frozen=True, eq=False, slots=True)
class Span:
    """`ids` to be read after the first `held` tokens of `before`; at least one.

    `wanted` are the places in `ids`, ascending, whose states are asked for. With `keep`, what was held and what is
    read is in that memory afterwards: in the same one, whose tokens behind `held` are then forgotten, or in a new one.
    """

    ids: Sequence[int]
    wanted: Sequence[int]
    before: Memory | None = None
    held: int = 0
    keep: Memory | None = None


class Pass:
    """Spans end to end. Attention is within each span and what it held, so that none can see another's."""

    def __init__(self, spans: Sequence[Span], device: torch.device) -> None:
        self.spans = spans
        self.device = device
        self.lengths = [len(one.ids) for one in spans]
        self.ids = torch.tensor([i for one in spans for i in one.ids], device=device)
        self.positions = torch.cat([torch.arange(one.held, one.held + len(one.ids)) for one in spans]).to(device)
        self._places = [torch.arange(one.held, one.held + len(one.ids), device=device) for one in spans]

    @cached_property
    def wanted(self) -> Tensor:
        """Rows of all spans whose states are asked for."""
        starts = np.cumsum([0, *self.lengths[:-1]])
        rows = [np.asarray(one.wanted, dtype=np.int64) + start for one, start in zip(self.spans, starts, strict=True)]
        return torch.from_numpy(np.concatenate(rows)).to(self.device)

    def attend(
        self, layer: int, query: Tensor, key: Tensor, value: Tensor, scale: float, *, wanted: bool = False
    ) -> Tensor:
        """[heads, rows, size], for keys and values [key heads, tokens, size]; with `wanted`, queries of those rows."""
        found = []
        row = start = 0
        for span, length, places in zip(self.spans, self.lengths, self._places, strict=True):
            keys, values = key[:, start : start + length], value[:, start : start + length]
            start += length
            keys, values = _with_held(span, layer, keys, values)
            at = places[torch.as_tensor(span.wanted, dtype=torch.long, device=self.device)] if wanted else places
            if len(at):
                found.append(attend(query[:, row : row + len(at)], keys, values, at, scale))
            row += len(at)
        if len(found) == 1:
            return found[0]
        return torch.cat(found, dim=1) if found else query[:, :0]

    def remember(self) -> None:
        """Say what the memories hold now; after the last layer."""
        for span in self.spans:
            if span.keep is not None:
                held = span.before.ids[: span.held] if span.before is not None else []
                span.keep.ids = [*held, *span.ids]


def _with_held(span: Span, layer: int, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
    """Keys and values of a span and of what it held, kept where it says so."""
    if span.keep is None:
        if span.before is None or not span.held:
            return keys, values
        held_keys, held_values = span.before.of(layer, span.held)
        return torch.cat([held_keys, keys], dim=1), torch.cat([held_values, values], dim=1)
    if span.before is not None and span.keep is not span.before and span.held:
        span.keep.write(layer, 0, *span.before.of(layer, span.held))
    span.keep.write(layer, span.held, keys, values)
    return span.keep.of(layer, span.held + keys.shape[1])
