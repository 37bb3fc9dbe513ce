"""The listwise tier of kind tournament: documents meet in groups, and collect points for every group they survive."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from cascade.rerank.listwise.list_reranker import ListReranker
from cascade.rerank.listwise.steps import Steps
from cascade.rerank.listwise.task import Reader


class TournamentReranker(ListReranker):
    """Ranks by points; groups do not depend on each other, so that one pass reads several."""

    def __init__(
        self,
        name: str,
        reader: Reader,
        *,
        group: int = 4,
        rounds: int = 3,
        max_doc_tokens: int = 100,
        both_orders: bool = True,
    ) -> None:
        """With `both_orders` every list is read forwards and backwards: twice the time, and places weigh less."""
        super().__init__(name, reader, max_doc_tokens, both_orders=both_orders)
        self._group = group
        self._rounds = rounds

    def _steps(self, count: int) -> Steps:
        return tournament(count, group=self._group, rounds=self._rounds)

    def _longest(self, count: int) -> int:
        return min(self._group, count)

    def _least(self, count: int) -> int:
        return count  # the first groups, in which everyone plays once


def tournament(count: int, *, group: int, rounds: int) -> Steps:
    """`rounds` tournaments, each drawn anew; documents by points, equals in incoming order (Chen et al., 2024,
    "TourRank: utilizing large language models for documents ranking with a tournament-inspired strategy").

    The draw is the same for every request of equal size, and stands in the order received for groups that were not
    read for lack of time.
    """
    points = [0] * count
    for number in range(rounds):
        draw = Random(f"cascade {number}")
        left = list(range(count))
        while len(left) > 1:
            groups = groups_of(left, group, draw)
            answers = yield groups
            if not answers:
                return _order(points)
            left = []
            for index, members in enumerate(groups):
                answer = answers[index] if index < len(answers) else [0.0] * len(members)
                places = sorted(range(len(members)), key=lambda place: (-answer[place], members[place]))
                left += [members[place] for place in places[: max(1, len(members) // 2)]]
            for member in left:
                points[member] += 1
            if len(answers) < len(groups):
                return _order(points)
            left.sort()
    return _order(points)


def groups_of(members: Sequence[int], group: int, draw: Random) -> list[list[int]]:
    """`members` in as few groups of at most `group` as hold them, sizes differing by at most one.

    As in the draw of a cup, members are dealt pot by pot from the front, so that the favourites meet late, and the
    places within a group are drawn too: what a model thinks of a place must not stay with one document.
    """
    count = -(-len(members) // group)
    groups: list[list[int]] = [[] for _ in range(count)]
    for start in range(0, len(members), count):
        pot = list(members[start : start + count])
        draw.shuffle(pot)
        for index, member in enumerate(pot):
            groups[index].append(member)
    for one in groups:
        draw.shuffle(one)
    return groups


def _order(points: Sequence[int]) -> list[int]:
    return sorted(range(len(points)), key=lambda member: -points[member])
