"""A result with everything in it that one can have."""

from collections.abc import Callable

import pytest

from cascade.bench.measure import Goal, Measured, Speed, Versus
from cascade.bench.result import Check, Result
from cascade.evaluate.ratio import Ratio

MakeMeasured = Callable[..., Measured]


@pytest.fixture
def measured() -> MakeMeasured:
    def make(case: str = "", *, goal: Goal | None = None, ratio: tuple[float, float, float] = (5, 4.5, 6)) -> Measured:
        ours = Speed(f"ours{case}", "0.1", "pairs/s", (50.0, 55.0, 45.0), "native-int8")
        theirs = Speed(f"peer{case}", "2.0", "pairs/s", (10.0, 11.0, 9.0))
        middle, low, high = ratio
        return Measured(ours, (Versus(theirs, Ratio(middle, low, high, (5.0, 5.0, 5.0)), ours.name, goal),))

    return make


@pytest.fixture
def result(measured: MakeMeasured) -> Result:
    return Result.of(
        "cross-encoder",
        [measured(goal=Goal(4, 8)), measured(", short")],
        quality={"kendall_tau": 0.998, "nDCG@10": {"wikiqa": {"ours": 0.7, "float32": 0.701}}},
        machine={"processor": "a processor", "processors": 2, "threads": 2, "cascade": "0.1"},
        notes=["infinity-emb does not take part: not installed"],
        checks=[Check("nDCG@10 lost", 0.001, Goal(0.002, 0.0), "less", "", 0.0, 0.0015)],
    )
