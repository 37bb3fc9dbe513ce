"""Runs a server in this process for as long as it is measured: real gRPC over a real socket."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, nullcontext
from dataclasses import dataclass
from tempfile import TemporaryDirectory

from cascade import presets
from cascade.config import CascadeConfig, DenseConfig
from cascade.errors import NotFoundError
from cascade.evaluate.collection import Collection
from cascade_client import AsyncClient
from cascade_server.app import Server
from cascade_server.cascade_files import read_cascades
from cascade_server.settings import Settings


def known_cascade(settings: Settings, tenant: str, name: str) -> CascadeConfig:
    """What a server with `settings` would run as `name` for `tenant`. Raises NotFoundError, ConfigError."""
    tenants = read_cascades(settings.cascades_dir, presets.load_all())
    if tenant not in tenants:
        raise NotFoundError("tenant", tenant, list(tenants))
    if name not in tenants[tenant]:
        raise NotFoundError("cascade", name, list(tenants[tenant]))
    return tenants[tenant][name]


def encoder_of(config: CascadeConfig) -> str:
    """The encoder that an index must have for the cascade's dense retriever, empty without one."""
    return next((r.model for r in config.retrieve if isinstance(r, DenseConfig)), "")


def with_room(settings: Settings, collection: Collection, most: int = 0) -> Settings:
    """`settings` with limits that every query of `collection` keeps, with its candidates or any `most` documents."""
    chars = {document.doc_id: len(document.title) + len(document.text) for document in collection.documents}
    own = collection.candidates.by_query.values() if collection.candidates is not None else ()
    longest = max(chars.values())
    # A character has at most four bytes; an answer names every document once for every stage.
    sizes = [most * (4 * longest + 1024), *(sum(4 * chars.get(d, 0) + 1024 for d in doc_ids) for doc_ids in own)]
    most = max([most, *map(len, own)])
    return settings.model_copy(
        update={
            "max_documents": max(settings.max_documents, most),
            "max_top_k": max(settings.max_top_k, most),
            "max_document_chars": max(settings.max_document_chars, longest),
            "max_query_chars": max(settings.max_query_chars, *map(len, collection.queries.values())),
            "max_message_bytes": min(max(settings.max_message_bytes, *sizes), 2**31 - 1),
        }
    )


@dataclass(frozen=True, slots=True)
class Served:
    """A server that answers: a client of it, where it listens, and the port of its metrics if it has any."""

    client: AsyncClient
    target: str
    metrics_port: int | None


@asynccontextmanager
async def serving(
    settings: Settings, tenant: str, only: Mapping[str, CascadeConfig] | None = None
) -> AsyncIterator[Served]:
    """A server for as long as the block runs, asked as `tenant`; it answers when the block begins.

    With `only`, it has those cascades for `tenant`, loads no other's models, and is for this process alone.
    """
    with nullcontext(settings) if only is None else alone(settings) as chosen:
        server = Server(chosen, cascades=None if only is None else lambda: {tenant: only})
        try:
            target = f"127.0.0.1:{await server.start()}"
            async with AsyncClient(target, tenant=tenant, max_message_bytes=chosen.max_message_bytes) as client:
                yield Served(client, target, server.metrics_port)
        finally:
            await server.stop(chosen.grace_seconds)


@contextmanager
def alone(settings: Settings) -> Iterator[Settings]:
    """`settings` without what is for others: a store of its own, so that nothing measured is anybody's usage, and no
    credentials, which this process would have to have. Nothing is remembered: every answer costs what it costs. Nothing
    is refused for load or made cheaper by it: the load is the measurement.
    """
    with TemporaryDirectory(prefix="cascade-") as folder:
        own: dict[str, object] = dict.fromkeys(("tls_certificate", "tls_key", "tls_client_ca", "jwt_jwks"))
        own |= {
            "store_url": f"sqlite:///{folder}/control.db",
            "host": "127.0.0.1",
            "require_credentials": False,
            "cache_mb": 0,
            "overload": "fixed",
        }
        yield settings.model_copy(update=own)
