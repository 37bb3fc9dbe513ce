"""A request that may do its work: at which depths, and what it has still to do."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from cascade.budget import Account
from cascade.trace import StageTrace
from cascade_server.overload.estimate import Work
from cascade_server.overload.ledger import Ledger


class Admitted:
    """Leave to work. `depths` are those of tiers that must see fewer candidates than their cascade says."""

    def __init__(self, depths: Mapping[str, int], works: Sequence[Work], account: Account, ledger: Ledger) -> None:
        self.depths = depths
        self.works = works
        self.trace: tuple[StageTrace, ...] = ()
        self._account = account
        self._ledger = ledger
        self._ahead = {work.stage: work for work in works}
        for work in works:
            self._promise(work, 1)

    @property
    def tokens(self) -> float:
        """All that models are expected to read for it."""
        return sum(work.tokens for work in self.works)

    @property
    def used(self) -> int:
        """All that models did read for it, in the stages that have ended."""
        return sum(stage.tokens for stage in self.trace)

    def ended(self, trace: tuple[StageTrace, ...]) -> None:
        """The stages of `trace` have ended, and are no longer ahead of anyone."""
        for stage in trace[len(self.trace) :]:
            self._release(stage.stage)
        self.trace = trace

    def close(self) -> None:
        """None of its stages is ahead of anyone any more."""
        for stage in tuple(self._ahead):
            self._release(stage)

    def _release(self, stage: str) -> None:
        if (work := self._ahead.pop(stage, None)) is not None:
            self._promise(work, -1)

    def _promise(self, work: Work, sign: int) -> None:
        if work.model is not None:
            self._ledger.add(work.model, self._account, sign * math.ceil(work.tokens))
