"""What a query costs up to a stage, and which stages nothing beats at their price."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cascade.evaluate.report import StageFigures
from cascade.evaluate.runs import FUSERS


@dataclass(frozen=True, slots=True)
class Cost:
    """Means per query of a cascade that ends at a stage: the work of that stage and of all that it needs.

    Seconds are run times added up, also of retrievers that run side by side. `money` is None without a price.
    """

    seconds: float
    tokens: float
    money: float | None


def costs(stages: Sequence[StageFigures]) -> tuple[Cost, ...]:
    """The cost of ending at each stage, in order: a retriever needs none before it, a fuser or a tier all of them."""
    fused = next((place for place, figures in enumerate(stages) if figures.stage.kind in FUSERS), 0)
    needed = [stages[: n + 1] if n >= fused else stages[n : n + 1] for n in range(len(stages))]
    return tuple(_sum(figures) for figures in needed)


def front(points: Sequence[tuple[float, float]]) -> tuple[int, ...]:
    """The places of the (cost, quality) points that no other beats in one without losing in the other, cheapest first.

    This is the Pareto front; of equal points, the first is on it.
    """
    best = float("-inf")
    kept = []
    for place in sorted(range(len(points)), key=lambda n: (points[n][0], -points[n][1], n)):
        if points[place][1] > best:
            best = points[place][1]
            kept.append(place)
    return tuple(kept)


def _sum(stages: Sequence[StageFigures]) -> Cost:
    priced = [figures.money for figures in stages if figures.money is not None]
    return Cost(
        seconds=sum(_per_query(figures, figures.seconds) for figures in stages),
        tokens=sum(_per_query(figures, figures.tokens) for figures in stages),
        money=sum(priced) if len(priced) == len(stages) else None,
    )


def _per_query(figures: StageFigures, mean: float) -> float:
    """`mean` is that of the queries that the stage ran for; a query that it skipped costs nothing."""
    asked = sum(figures.status.values())
    return mean * (asked - figures.status.get("skipped", 0)) / asked if asked else 0.0
