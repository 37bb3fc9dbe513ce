"""Every tenant's indexes, on the event loop: reads at any time, writes to one index one after another."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TypeVar
from weakref import WeakValueDictionary

from cascade.index import Change, DocumentEncoder, Index, IndexInfo, IndexStore, TokenEncoder, no_token_encoder
from cascade.types import Document
from cascade_server.errors import UnavailableError
from cascade_server.metrics import IndexSizes

T = TypeVar("T")


class Indexes:
    """One folder of indexes per tenant; no search waits for a write, and no caller cuts short one that has begun.

    Writes run in threads of their own, so that they cannot take those that searches need.
    """

    def __init__(
        self,
        root: Path,
        encoders: Callable[[str, str], DocumentEncoder],
        sizes: IndexSizes,
        *,
        token_encoders: Callable[[str, str], TokenEncoder] = lambda _tenant, reference: no_token_encoder(reference),
        writers: int = 6,
    ) -> None:
        """`encoders` and `token_encoders` give the model of a reference that encodes a tenant's documents.

        `writers` is how many writes run at a time; the others wait for their turn.
        """
        self._root = root
        self._encoders = encoders
        self._token_encoders = token_encoders
        self._sizes = sizes
        self._stores: dict[str, IndexStore] = {}
        self._locks: WeakValueDictionary[tuple[str, str], asyncio.Lock] = WeakValueDictionary()
        self._writers = ThreadPoolExecutor(writers, thread_name_prefix="index writer")
        self._writing: set[asyncio.Task[object]] = set()
        self._closing = False

    async def open(self, tenant: str, name: str) -> Index:
        """The index to read from. Raises NotFoundError, CorruptIndexError."""
        return await asyncio.to_thread(self._store(tenant).open, name)

    async def list(self, tenant: str) -> Sequence[IndexInfo]:
        """All indexes of a tenant by name; one that cannot be read is listed with its problem."""
        return await asyncio.to_thread(self._store(tenant).list)

    async def measure(self, tenant: str) -> None:
        """Bring the metrics of a tenant's indexes up to date."""
        for info in await self.list(tenant):
            if not info.problem:
                self._sizes.set(tenant, info.name, info.documents)

    async def create(self, tenant: str, name: str, encoder: str, token_vectors: str = "") -> IndexInfo:
        """A new, empty index. Raises AlreadyExistsError, ModelLoadError."""
        info = await self._write(tenant, name, lambda: self._store(tenant).create(name, encoder, token_vectors))
        self._sizes.set(tenant, name, info.documents)
        return info

    async def upsert(self, tenant: str, name: str, documents: Sequence[Document]) -> Change:
        """Add and replace documents as one change. Raises NotFoundError, CorruptIndexError, IndexBusyError."""
        return await self._change(tenant, name, lambda index: index.upsert(documents, progress=self._go_on))

    async def delete(self, tenant: str, name: str, doc_ids: Sequence[str]) -> Change:
        """Delete documents as one change. Raises NotFoundError, CorruptIndexError, IndexBusyError."""
        return await self._change(tenant, name, lambda index: index.delete(doc_ids))

    async def drop(self, tenant: str, name: str) -> None:
        """Delete an index. Raises NotFoundError, IndexBusyError."""
        await self._write(tenant, name, lambda: self._store(tenant).drop(name))
        self._sizes.remove(tenant, name)

    async def aclose(self) -> None:
        """End the upserts that still run, which nobody waits for, at their next batch, and close all indexes."""
        self._closing = True
        if self._writing:
            await asyncio.wait(self._writing)
        self._writers.shutdown()
        for store in self._stores.values():
            await asyncio.to_thread(store.close)
        self._stores.clear()

    async def _change(self, tenant: str, name: str, change: Callable[[Index], Change]) -> Change:
        # Opened twice: what is not there is refused without waiting, and what changed meanwhile is seen.
        await self.open(tenant, name)
        done = await self._write(tenant, name, lambda: change(self._store(tenant).open(name)))
        self._sizes.set(tenant, name, done.info.documents)
        return done

    async def _write(self, tenant: str, name: str, work: Callable[[], T]) -> T:
        """What `work` returns, run when no other write to that index does; a caller that leaves ends it only before."""
        lock = self._locks.setdefault((tenant, name), asyncio.Lock())
        begun = False

        async def alone() -> T:
            nonlocal begun
            async with lock:
                begun = True
                return await asyncio.get_running_loop().run_in_executor(self._writers, work)

        task = asyncio.create_task(alone())
        self._writing.add(task)
        task.add_done_callback(self._ended)
        try:
            return await asyncio.shield(task)
        finally:
            if not begun:
                task.cancel()

    def _go_on(self, _done: int, _total: int) -> None:
        if self._closing:
            raise UnavailableError("stopping")

    def _ended(self, task: asyncio.Task[object]) -> None:
        self._writing.discard(task)
        if not task.cancelled():
            task.exception()  # marks it as seen, since its caller may have left

    def _store(self, tenant: str) -> IndexStore:
        if tenant not in self._stores:
            encoders, token_encoders = partial(self._encoders, tenant), partial(self._token_encoders, tenant)
            self._stores[tenant] = IndexStore(self._root / tenant, encoders, token_encoders)
        return self._stores[tenant]
