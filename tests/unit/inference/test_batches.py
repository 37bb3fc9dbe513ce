"""Batches by token budget lose nothing and keep the budget."""

from hypothesis import given
from hypothesis import strategies as st

from cascade.inference.batches import by_token_budget

lengths = st.lists(st.integers(1, 600), max_size=80)


@given(lengths, st.integers(1, 4096))
def test_every_item_is_in_exactly_one_batch(lengths: list[int], budget: int) -> None:
    batches = by_token_budget(lengths, budget)
    assert sorted(i for batch in batches for i in batch) == list(range(len(lengths)))


@given(lengths, st.integers(1, 4096))
def test_only_an_item_alone_exceeds_the_budget(lengths: list[int], budget: int) -> None:
    for batch in by_token_budget(lengths, budget):
        padded = max(lengths[i] for i in batch) * len(batch)
        assert padded <= budget or len(batch) == 1


@given(lengths)
def test_longest_items_come_first(lengths: list[int]) -> None:
    flat = [lengths[i] for batch in by_token_budget(lengths, 512) for i in batch]
    assert flat == sorted(lengths, reverse=True)
