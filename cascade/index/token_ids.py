"""Every document's token ids of one version: a mapped file, and where each document's are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from cascade.index.info import Tokeniser
from cascade.index.topk import Rows
from cascade.stages import TokenisedText

Ids = npt.NDArray[np.uint16 | np.uint32]

_AT_A_TIME = 1024


class TokenIdFile:
    """Immutable; row i is the i-th document, whose ids are those from `starts[i]` to `starts[i + 1]`."""

    def __init__(self, tokenizer: str, ids: Ids, starts: npt.NDArray[np.int64], totals: npt.NDArray[np.uint32]) -> None:
        self.tokenizer = tokenizer
        self._ids = ids
        self._starts = starts
        self._totals = totals

    @staticmethod
    def build(
        passages: Sequence[str],
        folder: Path,
        before: TokenIdFile | None,
        known: Rows,
        tokeniser: Callable[[], Tokeniser | None],
    ) -> str:
        """Write what `load` reads, and return the tokenizer's fingerprint; empty, and nothing written, without one.

        `known` says which row of `before` has a passage, or -1, int64 (n,). The tokenizer is asked for only when a
        passage is new: a delete waits for no model. When it is another one than made `before`, all ids are made anew.
        """
        made_by = before.tokenizer if before else ""
        maker: Tokeniser | None = None
        if (known < 0).any():
            maker = tokeniser()
            made_by = maker.fingerprint if maker else ""
        if not made_by:
            return ""
        if before is None or before.tokenizer != made_by:
            before, known = None, np.full(len(passages), -1, dtype=np.int64)
        folder.mkdir()
        totals = np.zeros(len(passages), dtype=np.uint32)
        starts = np.zeros(len(passages) + 1, dtype=np.int64)
        dtype: npt.DTypeLike = np.uint16
        with (folder / "ids.bin").open("wb") as file:
            for first in range(0, len(passages), _AT_A_TIME):
                rows = range(first, min(first + _AT_A_TIME, len(passages)))
                found = _texts(passages, rows, before, known, maker)
                for row, text in zip(rows, found, strict=True):
                    starts[row + 1], totals[row] = starts[row] + len(text.ids), text.total
                    dtype = text.ids.dtype
                np.concatenate([text.ids for text in found]).tofile(file)
        np.savez(folder / "rows.npz", starts=starts, totals=totals, empty=np.zeros(0, dtype=dtype))
        return made_by

    @staticmethod
    def load(folder: Path, tokenizer: str) -> TokenIdFile:
        """Map what `build` wrote."""
        path = folder / "ids.bin"
        with np.load(folder / "rows.npz") as rows:
            starts, totals, ids = rows["starts"], rows["totals"], rows["empty"]
        if path.stat().st_size:
            ids = np.asarray(np.memmap(path, dtype=ids.dtype, mode="r"))
        if len(ids) != starts[-1]:
            raise ValueError(f"found {len(ids)} token ids, expected {starts[-1]}")
        return TokenIdFile(tokenizer, ids, starts, totals)

    @property
    def bytes_per_document(self) -> float:
        """The mean; 0 without documents."""
        taken = self._ids.nbytes + self._starts.nbytes + self._totals.nbytes
        return taken / len(self._totals) if len(self._totals) else 0.0

    def tokenised(self, row: int) -> TokenisedText:
        """The ids of one document."""
        return TokenisedText(self._ids[self._starts[row] : self._starts[row + 1]], int(self._totals[row]))


class SnapshotTokenIds:
    """The token ids of one snapshot, by document; `tokenizer` is the fingerprint of what made them."""

    def __init__(self, ids: TokenIdFile, row: Callable[[str], int | None]) -> None:
        self.tokenizer = ids.tokenizer
        self._ids = ids
        self._row = row

    def fetch(self, doc_ids: Sequence[str]) -> dict[str, TokenisedText]:
        """The token ids of `doc_ids` that are here; reads from disk."""
        return {doc_id: self._ids.tokenised(row) for doc_id in doc_ids if (row := self._row(doc_id)) is not None}


def _texts(
    passages: Sequence[str], rows: range, before: TokenIdFile | None, known: Rows, maker: Tokeniser | None
) -> list[TokenisedText]:
    """The ids of `rows`, those that are known taken from `before`."""
    new = [row for row in rows if known[row] < 0]
    made: dict[int, Any] = dict(zip(new, maker([passages[row] for row in new]), strict=True)) if maker and new else {}
    kept = {row: before.tokenised(int(known[row])) for row in rows if known[row] >= 0} if before else {}
    return [made[row] if row in made else kept[row] for row in rows]
