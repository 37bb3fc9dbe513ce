"""Whatever a model writes becomes a permutation, and what was put right is counted."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cascade.rerank.listwise.order import Order, Repairs, numbers, parse, repair, unmistakable, write

counts = st.integers(0, 30)
permutations = counts.flatmap(lambda count: st.permutations(range(count)))


@pytest.mark.parametrize(
    "text",
    [
        "[2] > [1] > [3]",
        "2 > 1 > 3",
        "2>1>3",
        "[2]>[1]>[3].",
        "[2] >\n[1] >\n[3]",
        "[2], [1], [3]",
        "2, 1, 3",
        "[2, 1, 3]",
        "[2][1][3]",
        "[2] = [1] > [3]",
        "[2] &gt; [1] &gt; [3]",
        "[2] ≻ [1] ≻ [3]",
        "**[2]** > **[1]** > **[3]**",
        "`[2] > [1] > [3]`",
        "(2) > (1) > (3)",
        "#2 > #1 > #3",
        "Passage 2 > Passage 1 > Passage 3",
        "Passage [2] > passage [1] > DOCUMENT [3]",
        "[Passage 2] > [Passage 1] > [Passage 3]",
        '{"order": [2, 1, 3]}',
        '["2", "1", "3"]',
        "1. [2]\n2. [1]\n3. [3]",
        "1. Passage 2\n2. Passage 1\n3. Passage 3",
        "1) 2\n2) 1\n3) 3",
        "Rank 1: [2]\nRank 2: [1]\nRank 3: [3]",
        "2.\n1.\n3.",
        "2\n1\n3",
        "2. Water boils.\n1. Iron rusts.\n3. Snow falls.",
        "The 3 passages, best first: [2] > [1] > [3]",
        "[1] is about water and [3] about iron, so the order is [2] > [1] > [3].",
        "[2] > [1] > [3]\n\nExplanation: [3] is weaker than [1].",
        "[2] > [1] > [3]\n[1] > [2] > [3]",
        "<think>[3] > [1] > [2]? No, 4 things count.</think>\n[2] > [1] > [3]",
        "The best is 2 (with 0.95), then 1 (0.5), and 3 (.1)",
    ],
)
def test_an_order_is_read_however_it_is_written(text: str) -> None:
    assert parse(text, 3) == Order((1, 0, 2))


@pytest.mark.parametrize("text", ["", "I cannot rank these.", "<think>[2] > [1]", "[", "> > >", "0.5 1.5"])
def test_an_output_that_names_nothing_leaves_the_order_as_it_came(text: str) -> None:
    assert parse(text, 3) == Order((0, 1, 2), Repairs(missing=3))


def test_what_is_left_out_comes_last_in_the_order_it_came() -> None:
    assert parse("[4] > [2]", 5) == Order((3, 1, 0, 2, 4), Repairs(missing=3))


def test_the_first_mention_counts() -> None:
    assert parse("[2] > [1] > [2] > [2]", 2) == Order((1, 0), Repairs(repeated=2))


def test_numbers_of_no_document_are_left_away() -> None:
    assert parse("[0] > [2] > [7] > [1]", 2) == Order((1, 0), Repairs(unknown=2))


def test_an_identifier_that_is_cut_off_is_not_taken_for_a_shorter_one() -> None:
    assert parse("[11] > [12] > [1", 12).positions[:3] == (10, 11, 0)
    assert numbers("[11] > [12] > [1") == [11, 12]


def test_a_number_too_long_to_be_read_names_nothing() -> None:
    assert parse("[" + "9" * 5000 + "] > [2] > [1]", 2) == Order((1, 0), Repairs(unknown=1))


@pytest.mark.parametrize("piece", ["passage ", " ", "#", "9", "[1 ", "> ", "=", "[", "1,", "1. ", "<think>", "id"])
def test_a_long_output_without_end_is_read_in_time_linear_in_its_length(piece: str) -> None:
    assert sorted(parse(piece * 20_000 + "[2] > [1]", 2).positions) == [0, 1]


def test_an_order_scores_each_position_by_its_place() -> None:
    assert Order((2, 0, 1)).scores() == [2.0, 1.0, 3.0]


def test_a_document_cannot_pretend_to_be_an_identifier() -> None:
    assert unmistakable("as shown in [1], [ 12 ] and [a]") == "as shown in (1), (12) and [a]"


def test_repairs_add_up_by_their_sort() -> None:
    both = Repairs(1, 2, 3) + Repairs(missing=4)
    assert both == Repairs(5, 2, 3)
    assert both.total == 10


@given(st.text(alphabet=st.sampled_from("[]()0123456789 >,.=\nthink</>passage:")) | st.text(), counts)
def test_any_text_becomes_a_permutation(text: str, count: int) -> None:
    assert sorted(parse(text, count).positions) == list(range(count))


@given(st.lists(st.integers(-3, 35)), counts)
def test_any_positions_become_a_permutation_and_every_fault_is_counted(named: list[int], count: int) -> None:
    order = repair(named, count)
    assert sorted(order.positions) == list(range(count))
    assert len(named) - order.repairs.repeated - order.repairs.unknown + order.repairs.missing == count


@given(permutations)
def test_a_valid_order_is_left_as_it_is(positions: list[int]) -> None:
    assert repair(positions, len(positions)) == Order(tuple(positions))


@given(permutations)
def test_what_is_written_is_read_again(positions: list[int]) -> None:
    assert parse(write(positions), len(positions)) == Order(tuple(positions))


@given(st.text(alphabet=st.sampled_from("[]0123456789 >,")), counts)
def test_a_repaired_order_needs_no_second_repair(text: str, count: int) -> None:
    once = parse(text, count).positions
    assert parse(write(once), count) == Order(once)
