"""What an answer cost, by the operator's prices."""

from __future__ import annotations

from cascade.trace import StageStatus, StageTrace
from cascade_server.pricing import priced, total_cost

WORDS = StageTrace("bm25", "bm25", StageStatus.COMPLETED)
READ = StageTrace("cross", "cross_encoder", StageStatus.COMPLETED, model="reader", tokens=2_000_000)
FREE = StageTrace("dense", "dense", StageStatus.COMPLETED, model="encoder", tokens=50)


def test_tokens_of_a_model_with_a_price_cost_money_per_million() -> None:
    assert [t.cost for t in priced([WORDS, READ, FREE], {"reader": 0.25})] == [None, 0.5, None]


def test_nothing_else_of_a_trace_changes() -> None:
    assert priced([WORDS, FREE], {"reader": 0.25}) == (WORDS, FREE)


def test_a_stage_that_read_nothing_costs_nothing_and_a_price_of_nothing_is_a_price() -> None:
    skipped = StageTrace("cross", "cross_encoder", StageStatus.SKIPPED, model="reader")
    assert [t.cost for t in priced([skipped, FREE], {"reader": 0.25, "encoder": 0.0})] == [0.0, 0.0]


def test_the_total_is_unknown_only_where_nothing_has_a_price() -> None:
    assert total_cost([WORDS, FREE]) is None
    assert total_cost(priced([WORDS, READ, FREE], {"reader": 0.25, "encoder": 1e6})) == 0.5 + 50.0
