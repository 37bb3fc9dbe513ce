"""The listwise tier of kind logits: one forward pass puts a window of documents in order."""

from __future__ import annotations

from cascade.rerank.listwise.list_reranker import ListReranker
from cascade.rerank.listwise.steps import Steps, best_first
from cascade.rerank.listwise.task import Reader
from cascade.rerank.listwise.windows import put_in_order, sliding, waves


class LogitsReranker(ListReranker):
    """The order is read from the logits of the identifiers at the answer's first token (Reddy et al., 2024, "FIRST:
    faster improved listwise reranking with single token decoding")."""

    def __init__(
        self,
        name: str,
        reader: Reader,
        *,
        window: int = 20,
        stride: int = 10,
        max_doc_tokens: int = 100,
        both_orders: bool = True,
    ) -> None:
        """With `both_orders` every list is read forwards and backwards: twice the time, and places weigh less."""
        super().__init__(name, reader, max_doc_tokens, both_orders=both_orders)
        self._window = window
        self._stride = stride

    def _steps(self, count: int) -> Steps:
        return by_windows(count, window=self._window, stride=self._stride)

    def _longest(self, count: int) -> int:
        return min(self._window, count)

    def _least(self, count: int) -> int:
        # The windows before the last only bring documents up to it: the first ranks are settled at the very end.
        return sum(map(len, sliding(count, self._window, self._stride)))


def by_windows(count: int, *, window: int, stride: int) -> Steps:
    """Every window in order; windows that were not read for lack of time stay as they stand."""
    order = list(range(count))
    for wave in waves(sliding(count, window, stride)):
        answers = yield [one.of(order) for one in wave]
        for one, answer in zip(wave, answers, strict=False):  # fewer answers than windows when time ran out
            order = put_in_order(order, one, best_first(answer))
        if len(answers) < len(wave):
            break
    return order
