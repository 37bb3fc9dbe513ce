"""Every bench there is, by the name it is called by."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, cast

if TYPE_CHECKING:
    from cascade.bench.options import Options
    from cascade.bench.result import Result


@dataclass(frozen=True, slots=True)
class Entry:
    """A module with a function `bench`, what it measures, and the seconds that it has when all are run one by one."""

    module: str
    about: str
    seconds: float


BENCHES: Mapping[str, Entry] = {
    "cross-encoder": Entry("cross_encoder", "Pairs a second, 100 documents of natural length.", 290),
    "bi-encoder": Entry("bi_encoder", "Sentences a second, of natural length.", 70),
    "late-interaction": Entry("late_interaction", "MaxSim of a query and 1,000 documents, a second.", 60),
    "listwise": Entry("listwise", "Documents a second through a language model.", 160),
    "bm25": Entry("bm25", "Queries a second, at several sizes.", 110),
    "dense": Entry("dense", "Queries a second over a million vectors.", 160),
    "server": Entry("server", "What a server adds to the engine in process, and keeps under load.", 130),
    "backends": Entry("backends", "Every runtime that there is here for an encoder.", 150),
}
"""In the order in which they are told; their seconds are not quite 19 minutes together."""


class _Module(Protocol):
    def bench(self, options: Options, tell: Callable[[str], None]) -> Result: ...


def run(name: str, options: Options, tell: Callable[[str], None]) -> Result:
    """Run the bench of that name."""
    module = importlib.import_module(f"cascade.bench.{BENCHES[name].module}")
    return cast("_Module", module).bench(options, tell)
