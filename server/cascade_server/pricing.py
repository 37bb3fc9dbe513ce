"""Money: what the tokens of an answer cost, by the operator's prices."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from cascade.trace import StageTrace


def priced(trace: Iterable[StageTrace], prices: Mapping[str, float]) -> tuple[StageTrace, ...]:
    """`trace` with the cost of every stage whose model has a price, in money per million tokens."""
    return tuple(
        replace(t, cost=t.tokens * prices[t.model] / 1e6) if t.model and t.model in prices else t for t in trace
    )


def total_cost(trace: Iterable[StageTrace]) -> float | None:
    """What all stages cost together, None where none has a price."""
    costs = [t.cost for t in trace if t.cost is not None]
    return sum(costs) if costs else None
