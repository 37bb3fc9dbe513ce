"""What a server does, in this process: the same checks, engine and messages, without a port."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import aclosing
from typing import Any

from cascade import presets, types
from cascade.answer import Answer
from cascade.budget import Budget
from cascade.build import Models, bind_documents, bind_index, build_cascade
from cascade.config import CascadeConfig
from cascade.errors import NotFoundError
from cascade.index import Change as EngineChange
from cascade.index import IndexStore
from cascade.stages import Corpus
from cascade_api.v1 import ranking_pb2
from cascade_client import Change, IndexInfo, Update, calls, decode, encode
from cascade_server.cascade_files import read_cascades
from cascade_server.convert.checks import Checks
from cascade_server.convert.descriptions import index_message
from cascade_server.convert.documents import check_unique, stored_document
from cascade_server.convert.requests import RankQuery, deletion, index_name, rank_query
from cascade_server.convert.responses import rank_response
from cascade_server.rollout.serving import Chosen
from cascade_server.settings import Settings

Progress = Callable[[int, int], None]


async def rank(
    settings: Settings, tenant: str, request: ranking_pb2.RankRequest, seconds: float, each: Callable[[Update], None]
) -> None:
    """Rank as a server would, and tell `each` update; the deadline of `seconds` counts once models are loaded."""
    asked = rank_query(request, settings)
    config = _cascade(settings, tenant, asked.cascade)
    models = Models(threads=settings.threads, device=settings.device)
    cascade = build_cascade(asked.cascade, config, models)
    try:
        corpus = await asyncio.to_thread(_corpus, settings, tenant, asked, config, models)
        await cascade.warm_up()
        updates = cascade.stream(
            asked.query,
            corpus,
            top_k=asked.top_k,
            budget=Budget.of(seconds),
            tier_seconds=asked.tier_seconds,
            min_probability=asked.min_probability,
            with_documents=asked.include_text,
        )
        async with aclosing(updates):
            async for update in updates:
                each(_update(update.stage, update.final, update.answer, asked, Chosen(cascade), corpus.version))
    finally:
        await cascade.aclose()
        await models.aclose()


class LocalIndexes:
    """A tenant's indexes in the data folder, with the methods of `cascade_client.Client`."""

    def __init__(self, settings: Settings, tenant: str) -> None:
        self._settings = settings
        models = Models(threads=settings.threads, device=settings.device)
        self._store = IndexStore(settings.data_dir / "indexes" / tenant, models.encoder, models.token_encoder)

    def create_index(self, name: str, encoder: str = "", *, token_vectors: str = "") -> IndexInfo:
        """Create an empty index."""
        made = self._store.create(index_name(name), encoder or self._settings.default_encoder, token_vectors)
        return decode.index_info(index_message(made))

    def upsert(self, index: str, documents: Sequence[Any], *, progress: Progress) -> Change:
        """Add and replace documents as one change; `progress` is told how many of how many are encoded."""
        found = self._store.open(index_name(index))
        checks = Checks()
        checked = [self._checked(document, i, checks) for i, document in enumerate(documents)]
        check_unique([d.doc_id for d in checked], checks)
        checks.done()
        return _change(found.upsert(checked, progress=progress))

    def delete(self, index: str, doc_ids: Sequence[str]) -> Change:
        """Delete documents as one change."""
        name, unique = deletion(calls.delete_request(index, doc_ids))
        return _change(self._store.open(name).delete(unique))

    def get_index(self, name: str) -> IndexInfo:
        """Describe one index."""
        return decode.index_info(index_message(self._store.open(index_name(name)).info))

    def list_indexes(self) -> tuple[IndexInfo, ...]:
        """Describe all indexes, by name."""
        return tuple(decode.index_info(index_message(info)) for info in self._store.list())

    def drop_index(self, name: str) -> None:
        """Delete an index and all its documents."""
        self._store.drop(index_name(name))

    def close(self) -> None:
        """Forget all open indexes."""
        self._store.close()

    def _checked(self, document: Any, position: int, checks: Checks) -> types.Document:
        message = encode.document(document, f"documents[{position}]")
        return stored_document(message, position, checks, max_chars=self._settings.max_document_chars)


def _cascade(settings: Settings, tenant: str, name: str) -> CascadeConfig:
    tenants = read_cascades(settings.cascades_dir, presets.load_all())
    if tenant not in tenants:
        raise NotFoundError("tenant", tenant, sorted(tenants))
    if name not in tenants[tenant]:
        raise NotFoundError("cascade", name, sorted(tenants[tenant]))
    return tenants[tenant][name]


def _corpus(settings: Settings, tenant: str, asked: RankQuery, config: CascadeConfig, models: Models) -> Corpus:
    if not asked.index:
        return bind_documents(config, asked.documents, models)
    store = IndexStore(settings.data_dir / "indexes" / tenant, models.encoder, models.token_encoder)
    return bind_index(config, store.open(asked.index).snapshot, models)


def _update(stage: str, final: bool, answer: Answer, asked: RankQuery, chosen: Chosen, index_version: str) -> Update:
    response = rank_response(answer, asked, chosen, index_version)
    return decode.update(ranking_pb2.RankStreamResponse(stage=stage, final=final, response=response))


def _change(made: EngineChange) -> Change:
    index = decode.index_info(index_message(made.info))
    return Change(index, added=made.added, replaced=made.replaced, deleted=made.deleted)
