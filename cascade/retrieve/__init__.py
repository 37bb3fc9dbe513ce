"""Where candidates come from: an index, or documents that came with the request."""

from cascade.retrieve.bm25 import Bm25Retriever
from cascade.retrieve.dense import DenseRetriever, QueryEncoder
from cascade.retrieve.documents import InlineDocuments, SnapshotDocuments
from cascade.retrieve.given import Given
from cascade.retrieve.inline import InlineBm25, InlineDense, InlineEncoder

__all__ = [
    "Bm25Retriever",
    "DenseRetriever",
    "Given",
    "InlineBm25",
    "InlineDense",
    "InlineDocuments",
    "InlineEncoder",
    "QueryEncoder",
    "SnapshotDocuments",
]
