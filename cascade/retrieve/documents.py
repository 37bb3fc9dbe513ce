"""Where the text of candidates comes from: an index, or the request."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from cascade.index import Snapshot
from cascade.types import Document


class SnapshotDocuments:
    """The documents of one snapshot."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot

    async def fetch(self, doc_ids: Sequence[str]) -> Mapping[str, Document]:
        """The documents of `doc_ids` by id; one that is not in the snapshot is left out."""
        return await asyncio.to_thread(self._snapshot.fetch, doc_ids)


class InlineDocuments:
    """The documents that came with a request; their ids are unique."""

    def __init__(self, documents: Sequence[Document]) -> None:
        self._documents = {document.doc_id: document for document in documents}

    async def fetch(self, doc_ids: Sequence[str]) -> Mapping[str, Document]:
        """The documents of `doc_ids` by id; one that did not come with the request is left out."""
        return {doc_id: self._documents[doc_id] for doc_id in doc_ids if doc_id in self._documents}
