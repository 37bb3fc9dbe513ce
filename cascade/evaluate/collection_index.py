"""Puts a collection's documents, and no others, into an index: on disk, or through a server."""

from __future__ import annotations

import asyncio
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cascade_client
from cascade.build import Models
from cascade.errors import InvalidInputError, NotFoundError, Violation
from cascade.index.store import IndexStore
from cascade.types import Document
from cascade_server.settings import Settings

Progress = Callable[[int, int], None]
"""Told how many documents are done, and of how many."""

_PER_UPSERT = 1000  # the server answers once per upsert, so that this is how often progress shows


@dataclass(frozen=True, slots=True)
class Wanted:
    """An index of exactly these documents; `encoder` is empty where any will do.

    Other documents that are found in it are deleted if `prune`, and are an error otherwise.
    """

    name: str
    documents: Sequence[Document]
    encoder: str = ""
    prune: bool = False


@dataclass(frozen=True, slots=True)
class Held:
    """What an index holds now."""

    documents: int
    version: int


def index_name(name: str) -> str:
    """A valid index name as near as possible to `name`."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:63] or "collection"


async def index_on_disk(settings: Settings, tenant: str, wanted: Wanted, progress: Progress) -> Held:
    """Make the index in the data folder as it is wanted, encoding only what is new.

    Raises InvalidInputError when it has another encoder, or documents that may not be deleted.
    """
    models = Models(threads=settings.threads, device=settings.device)
    store = IndexStore(settings.data_dir / "indexes" / tenant, models.encoder, models.token_encoder)
    try:
        return await asyncio.to_thread(_index, store, wanted, settings.default_encoder, progress)
    finally:
        store.close()
        await models.aclose()


async def index_through_server(client: cascade_client.AsyncClient, wanted: Wanted, progress: Progress) -> Held:
    """As `index_on_disk`, in a server; documents that are too many are found by their number, and never deleted."""
    try:
        info = await client.get_index(wanted.name)
    except cascade_client.NotFoundError:
        # The server may have to load, or even to fetch, the encoder first.
        info = await client.create_index(wanted.name, wanted.encoder, timeout=math.inf)
    _check_encoder(wanted, info.encoder)
    total = len(wanted.documents)
    _check_others(wanted, info.documents - total)
    progress(0, total)
    for start in range(0, total, _PER_UPSERT):
        batch = wanted.documents[start : start + _PER_UPSERT]
        info = (await client.upsert(wanted.name, [_sent(document) for document in batch])).index
        progress(start + len(batch), total)
    _check_others(wanted, info.documents - total)
    return Held(info.documents, info.version)


def _index(store: IndexStore, wanted: Wanted, default_encoder: str, progress: Progress) -> Held:
    try:
        index = store.open(wanted.name)
    except NotFoundError:
        store.create(wanted.name, wanted.encoder or default_encoder)
        index = store.open(wanted.name)
    _check_encoder(wanted, index.info.encoder)
    others = set(index.snapshot.doc_ids) - {document.doc_id for document in wanted.documents}
    if wanted.prune:
        index.delete(sorted(others))
    else:
        _check_others(wanted, len(others))
    index.upsert(wanted.documents, progress=progress)
    return Held(index.info.documents, index.info.version)


def _sent(document: Document) -> cascade_client.Document:
    return cascade_client.Document(document.doc_id, document.text, document.title, document.metadata)


def _check_encoder(wanted: Wanted, found: str) -> None:
    if wanted.encoder not in ("", found):
        message = f"was made with the encoder {found!r}, and the cascade needs {wanted.encoder!r}; name another index"
        raise InvalidInputError([Violation(f"index {wanted.name!r}", message)])


def _check_others(wanted: Wanted, others: int) -> None:
    if others > 0:
        message = f"holds {others} documents that are not in the collection; drop it, or name another index"
        raise InvalidInputError([Violation(f"index {wanted.name!r}", message)])
