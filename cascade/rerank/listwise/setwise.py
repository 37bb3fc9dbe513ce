"""The listwise tier of kind setwise: heapsort, where one comparison names the best of several documents."""

from __future__ import annotations

from collections.abc import Generator

from cascade.rerank.listwise.list_reranker import ListReranker
from cascade.rerank.listwise.steps import Answer, Lists, Steps
from cascade.rerank.listwise.task import Reader


class SetwiseReranker(ListReranker):
    """Finds the best `top`, comparing a document with `children` others at a time; below them the order stands."""

    def __init__(
        self,
        name: str,
        reader: Reader,
        *,
        children: int = 3,
        top: int = 10,
        max_doc_tokens: int = 100,
        both_orders: bool = True,
    ) -> None:
        """With `both_orders` every list is read forwards and backwards: twice the time, and places weigh less."""
        super().__init__(name, reader, max_doc_tokens, both_orders=both_orders)
        self._children = children
        self._top = top

    def _steps(self, count: int) -> Steps:
        return setwise(count, children=self._children, top=self._top)

    def _longest(self, count: int) -> int:
        return min(self._children + 1, count)

    def _least(self, count: int) -> int:
        return count  # about what building the heap reads, which brings the best document to the front


def setwise(count: int, *, children: int, top: int) -> Steps:
    """The best `top` by a heap in which each document stands above `children` others (Zhuang et al., 2023, "A setwise
    approach for effective and highly efficient zero-shot ranking with large language models"); the rest as it came.

    Stopped while the heap is built, it returns the heap: the order received, in which winners have moved up.
    """
    heap = list(range(count))
    for root in reversed(range(-(-(count - 1) // children))):
        if not (yield from _sift(heap, root, children)):
            return heap
    found: list[int] = []
    while heap and len(found) < top:
        found.append(heap[0])
        last = heap.pop()
        if not heap or len(found) == top:
            break
        heap[0] = last
        if not (yield from _sift(heap, 0, children)):
            break
    kept = set(found)
    return [*found, *(place for place in range(count) if place not in kept)]


def _sift(heap: list[int], at: int, children: int) -> Generator[Lists, list[Answer], bool]:
    """Let what stands `at` sink below better ones, of equals below what came earlier; whether time sufficed."""
    while below := range(at * children + 1, min((at + 1) * children + 1, len(heap))):
        places = (at, *below)
        answers = yield [[heap[place] for place in places]]
        if not answers:
            return False
        best = places[min(range(len(places)), key=lambda i: (-answers[0][i], heap[places[i]]))]
        if best == at:
            break
        heap[at], heap[best] = heap[best], heap[at]
        at = best
    return True
