"""Puts a collection's documents into an index, on disk or through a server, and refuses one that holds others too."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cascade_client

from cascade.build import Models
from cascade.errors import InvalidInputError, NotFoundError, Violation
from cascade.index.store import IndexStore
from cascade.types import Document

Progress = Callable[[int, int], None]
"""Told how many documents are done, and of how many."""

_PER_UPSERT = 1000  # the server answers once per upsert, so that this is how often progress shows


def index_name(name: str) -> str:
    """A valid index name as near as possible to `name`."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:63] or "collection"


@dataclass(frozen=True, slots=True)
class Held:
    """What an index holds after it was brought up to date."""

    documents: int
    version: int


async def index_on_disk(
    root: Path,
    name: str,
    documents: Sequence[Document],
    *,
    encoder: str,
    default: str,
    threads: int | None,
    progress: Progress,
) -> Held:
    """Create the index below `root` or bring it up to date.

    `encoder` is the one that it must have, or empty when any will do: it is made with `default` then. Raises
    InvalidInputError when it has another encoder or holds other documents too.
    """
    models = Models(threads=threads)
    try:
        return await asyncio.to_thread(
            _index, IndexStore(root, models.encoder), name, documents, encoder, default, progress
        )
    finally:
        await models.aclose()


async def index_through_server(
    client: cascade_client.AsyncClient, name: str, documents: Sequence[Document], *, encoder: str, progress: Progress
) -> Held:
    """As `index_on_disk`, in the server that `client` is connected to."""
    try:
        info = await client.get_index(name)
    except cascade_client.NotFoundError:
        info = await client.create_index(name, encoder)
    _check_encoder(name, info.encoder, encoder)
    done = 0
    progress(done, len(documents))
    for batch in (documents[start : start + _PER_UPSERT] for start in range(0, len(documents), _PER_UPSERT)):
        info = (await client.upsert(name, [_sent(document) for document in batch])).index
        done += len(batch)
        progress(done, len(documents))
    _check_size(name, info.documents, len(documents))
    return Held(info.documents, info.version)


def _index(
    store: IndexStore, name: str, documents: Sequence[Document], encoder: str, default: str, progress: Progress
) -> Held:
    try:
        try:
            index = store.open(name)
        except NotFoundError:
            store.create(name, encoder or default)
            index = store.open(name)
        _check_encoder(name, index.info.encoder, encoder)
        index.upsert(documents, progress=progress)
        progress(len(documents), len(documents))  # an index that has them all says nothing
        _check_size(name, index.info.documents, len(documents))
        return Held(index.info.documents, index.info.version)
    finally:
        store.close()


def _sent(document: Document) -> cascade_client.Document:
    return cascade_client.Document(document.doc_id, document.text, document.title, document.metadata)


def _check_encoder(name: str, found: str, expected: str) -> None:
    if expected and found != expected:
        message = f"was made with the encoder {found!r}, and the cascade needs {expected!r}; name another index"
        raise InvalidInputError([Violation(f"index {name!r}", message)])


def _check_size(name: str, found: int, expected: int) -> None:
    if found != expected:
        message = f"holds {found} documents and the collection {expected}; drop it, or name another index"
        raise InvalidInputError([Violation(f"index {name!r}", message)])
