"""Documents on their way into an index, cut into messages."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Iterator
from typing import Generic, TypeVar

from cascade_api.v1 import index_pb2
from cascade_client import encode
from cascade_client.options import DocumentLike

Progress = Callable[[int], None]
Source = TypeVar("Source", bound=Iterable[DocumentLike] | AsyncIterable[DocumentLike])

DEFAULT_BATCH = 256
_MESSAGE_BYTES = 1024 * 1024


class Batches:
    """Collects documents into messages of at most `batch` of them, and 1 MiB unless one document alone is larger."""

    def __init__(self, first: index_pb2.UpsertDocumentsRequest, batch: int) -> None:
        if batch < 1:
            raise ValueError(f"batch is at least 1, found {batch}")
        self._message = index_pb2.UpsertDocumentsRequest()
        self._message.CopyFrom(first)
        self._batch = batch
        self._bytes = 0
        self.taken = 0

    def add(self, value: DocumentLike) -> index_pb2.UpsertDocumentsRequest | None:
        """Take one document; the message that is full without it, if there is one."""
        document = encode.document(value, f"documents[{self.taken}]")
        size = document.ByteSize()
        held = len(self._message.documents)
        full = None
        if held and (held >= self._batch or self._bytes + size > _MESSAGE_BYTES):
            full = self.rest()
        self._message.documents.append(document)
        self._bytes += size
        self.taken += 1
        return full

    def rest(self) -> index_pb2.UpsertDocumentsRequest:
        """What has been taken and not yet been given back."""
        message, self._message, self._bytes = self._message, index_pb2.UpsertDocumentsRequest(), 0
        return message


class Upload(Generic[Source]):
    """One upsert's documents; a list can be sent again, an iterator only while nothing was taken from it."""

    def __init__(
        self,
        first: index_pb2.UpsertDocumentsRequest,
        documents: Source,
        batch: int,
        progress: Progress | None,
    ) -> None:
        self._first = first
        self._documents = documents
        self._batch = batch
        self._progress = progress or (lambda _: None)
        self._one_shot = isinstance(documents, Iterator | AsyncIterator)
        self._begun = False

    @property
    def repeatable(self) -> bool:
        """Whether the next try would send every document."""
        return not (self._one_shot and self._begun)

    def messages(self: Upload[Iterable[DocumentLike]]) -> Iterator[index_pb2.UpsertDocumentsRequest]:
        """The messages of one try, `progress` told how many documents each brings the try to."""
        batches = Batches(self._first, self._batch)
        for document in self._documents:
            self._begun = True
            if (full := batches.add(document)) is not None:
                yield full
                self._progress(batches.taken - 1)
        yield batches.rest()
        self._progress(batches.taken)

    async def messages_async(
        self: Upload[Iterable[DocumentLike] | AsyncIterable[DocumentLike]],
    ) -> AsyncIterator[index_pb2.UpsertDocumentsRequest]:
        """The same for documents that may arrive one by one."""
        batches = Batches(self._first, self._batch)
        async for document in _each(self._documents):
            self._begun = True
            if (full := batches.add(document)) is not None:
                yield full
                self._progress(batches.taken - 1)
        yield batches.rest()
        self._progress(batches.taken)


async def _each(
    documents: Iterable[DocumentLike] | AsyncIterable[DocumentLike],
) -> AsyncIterator[DocumentLike]:
    if isinstance(documents, AsyncIterable):
        async for document in documents:
            yield document
    else:
        for document in documents:
            yield document
