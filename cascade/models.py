"""Every model of a process: loaded once, shared by all cascades that name it, and let go when none does."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence, Set
from contextlib import contextmanager
from typing import NamedTuple, TypeVar

import structlog

from cascade.config import EndpointConfig
from cascade.engine import Cascade
from cascade.inference.batcher import QueueObserver
from cascade.inference.caches import Caches
from cascade.inference.encoder import Encoder
from cascade.inference.load import QueueLoad
from cascade.inference.model import BatchObserver, ModelStatus, QueueMode, ServedModel
from cascade.inference.multi_vector import MultiVectorModel
from cascade.inference.towers.tower import Backend
from cascade.lending import Lending
from cascade.rerank.listwise.endpoint import Endpoint

M = TypeVar("M", bound=ServedModel)

log = structlog.get_logger()


class ModelKey(NamedTuple):
    """Which model: its kind and reference, and how it is to run."""

    kind: str
    reference: str
    backend: Backend = "auto"
    deterministic: bool = False


class Models:
    """Every model of the process: made when first asked for, shared by all cascades that name it."""

    def __init__(
        self,
        *,
        threads: int | None = None,
        device: str = "auto",
        queue: QueueMode = "fair",
        cache_bytes: int = 0,
        on_batch: BatchObserver | None = None,
        on_queue: QueueObserver | None = None,
    ) -> None:
        """`threads` is how many each model computes with; `cache_bytes` is room to remember what was computed, or 0."""
        self._device = device
        self._threads = threads
        self._queue: QueueMode = queue
        self.caches = Caches(cache_bytes) if cache_bytes else None
        self._on_batch = on_batch
        self._on_queue = on_queue
        self._models: dict[ModelKey, ServedModel] = {}
        self._endpoints: dict[EndpointConfig, Endpoint] = {}
        self._lending: Lending[ServedModel | Endpoint] = Lending()
        self._lock = threading.RLock()
        if threads is not None:
            import torch

            torch.set_num_threads(threads)

    def get(self, kind: type[M], reference: str, *, backend: Backend = "auto", deterministic: bool = False) -> M:
        """The model of that kind and reference that runs so, not loaded yet unless someone did."""
        key = ModelKey(kind.kind, reference, backend, deterministic)
        with self._lock:
            found = self._models.get(key)
            if found is None:
                found = kind(
                    reference,
                    device=self._device,
                    queue=self._queue,
                    threads=self._threads,
                    backend=backend,
                    deterministic=deterministic,
                    cache=self.caches,
                    on_batch=self._on_batch,
                    on_queue=self._on_queue,
                )
                self._models[key] = found
            self._lending.touch(found)
        assert isinstance(found, kind)
        return found

    def load(self, key: ModelKey) -> QueueLoad | None:
        """What waits for that model now; None while nobody has asked for it."""
        found = self._models.get(key)
        return None if found is None else found.queue.load

    def encoder(self, reference: str, backend: Backend = "auto") -> Encoder:
        """The bi-encoder of that reference."""
        return self.get(Encoder, reference, backend=backend)

    def token_encoder(self, reference: str) -> MultiVectorModel:
        """The multi-vector model of that reference."""
        return self.get(MultiVectorModel, reference)

    def endpoint(self, config: EndpointConfig) -> Endpoint:
        """The model behind that endpoint, not reached yet unless someone did."""
        with self._lock:
            found = self._endpoints.get(config)
            if found is None:
                found = self._endpoints[config] = Endpoint(
                    config.url,
                    config.model,
                    api_key_file=config.api_key_file,
                    timeout=config.timeout_ms / 1e3,
                    retries=config.retries,
                    on_batch=self._on_batch,
                )
            self._lending.touch(found)
        return found

    @contextmanager
    def lending(self) -> Iterator[Loan]:
        """What is taken in the block is not released before it has a cascade that holds it."""
        with self._lock:
            yield Loan(self, self._lending)

    def held_by(self, cascade: Cascade) -> Sequence[ServedModel | Endpoint]:
        """All models of a cascade that was built with these."""
        with self._lock:
            return self._lending.taken(cascade)

    async def release(self, unused_for: float, keep: Set[str] = frozenset()) -> None:
        """End every model that no cascade has held and nobody asked for in the last `unused_for` seconds.

        A cascade holds its models until it is garbage, so that what still runs keeps them; a model at work for somebody
        else, as for a long write, counts as asked for. References in `keep` stay.
        """
        with self._lock:
            idle = {m for m in self._lending.idle(unused_for) if m.reference not in keep}
            for at_work in [m for m in idle if isinstance(m, ServedModel) and not m.queue.idle]:
                self._lending.touch(at_work)
                idle.remove(at_work)
            self._models = {key: m for key, m in self._models.items() if m not in idle}
            self._endpoints = {key: e for key, e in self._endpoints.items() if e not in idle}
            for model in idle:
                self._lending.forget(model)
        for model in idle:
            await model.aclose()
            log.info("model_released", model=model.reference, kind=model.kind)

    def status(self) -> Sequence[ModelStatus]:
        """How every model is, as of now."""
        with self._lock:
            return [model.status for model in self._all()]

    def forget_problems(self) -> None:
        """Let every model that could not be loaded be tried again."""
        with self._lock:
            for model in self._all():
                model.forget_problem()

    async def aclose(self) -> None:
        """End every model's queue, and close every connection."""
        with self._lock:
            models = self._all()
            self._models.clear()
            self._endpoints.clear()
        for model in models:
            await model.aclose()

    def _all(self) -> list[ServedModel | Endpoint]:
        return [*self._models.values(), *self._endpoints.values()]


class Loan:
    """What one cascade takes of `models`."""

    def __init__(self, models: Models, lending: Lending[ServedModel | Endpoint]) -> None:
        self._models = models
        self._lending = lending
        self._taken: list[ServedModel | Endpoint] = []

    def get(self, kind: type[M], reference: str, *, backend: Backend = "auto", deterministic: bool = False) -> M:
        """As that of `Models`."""
        found = self._models.get(kind, reference, backend=backend, deterministic=deterministic)
        self._taken.append(found)
        return found

    def encoder(self, reference: str, backend: Backend = "auto") -> Encoder:
        """As that of `Models`."""
        return self.get(Encoder, reference, backend=backend)

    def endpoint(self, config: EndpointConfig) -> Endpoint:
        """As that of `Models`."""
        found = self._models.endpoint(config)
        self._taken.append(found)
        return found

    def to(self, cascade: Cascade) -> Cascade:
        """That cascade, which now holds what was taken."""
        self._lending.lend(dict.fromkeys(self._taken), cascade)
        return cascade
