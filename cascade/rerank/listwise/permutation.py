"""The listwise tier of kind permutation: a language model writes the order of a window of documents."""

from __future__ import annotations

from cascade.rerank.listwise.list_reranker import ListReranker
from cascade.rerank.listwise.logits import by_windows
from cascade.rerank.listwise.steps import Steps
from cascade.rerank.listwise.task import Reader
from cascade.rerank.listwise.windows import sliding


class PermutationReranker(ListReranker):
    """Orders are generated for windows that slide from the back to the front (Sun et al., 2023, "Is ChatGPT good at
    search? Investigating large language models as re-ranking agents").

    With a stride as long as the window no two windows share a document, and all may be asked about at once. Shorter
    strides let a document climb from window to window: then each window waits for the one before it, and only windows
    of other requests are asked about at the same time. A window that gets no order, or half of one, loses nothing:
    documents that were not named come last in it, in the order received.
    """

    def __init__(self, name: str, reader: Reader, *, window: int = 20, stride: int = 10, max_doc_tokens: int = 100):
        super().__init__(name, reader, max_doc_tokens)
        self._window = window
        self._stride = stride

    def _steps(self, count: int) -> Steps:
        return by_windows(count, window=self._window, stride=self._stride)

    def _longest(self, count: int) -> int:
        return min(self._window, count)

    def _least(self, count: int) -> int:
        # As for logits: the first ranks are settled by the window that is read last.
        return sum(map(len, sliding(count, self._window, self._stride)))
