"""Documents of upserts are encoded in the models' queues, on their tenant's account and after its searches."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar

from cascade.budget import Account, Budget, Priority
from cascade.errors import NotFoundError
from cascade.index import DocumentEncoder, TokenEncoder
from cascade.index.info import Tokeniser, Vectors
from cascade.inference.batches import by_token_budget
from cascade.inference.cost import approximate_tokens
from cascade.inference.multi_vector import DOC_TOKENS, MultiVectorModel
from cascade.inference.stepwise import Stepwise
from cascade.models import Models
from cascade.stages import StoredVectors

T = TypeVar("T")
Queued = Callable[[Budget], Coroutine[Any, Any, T]]

_BATCH_TOKENS = 4096


class Writing:
    """Gives the encoders that write a tenant's indexes; they are called in threads, never in that of the event loop.

    A write has no deadline, and waits while anything of a higher class does; when a queue is full it is refused, and
    what was encoded by then is kept for the next try.
    """

    def __init__(self, models: Models, account: Callable[[str], Account]) -> None:
        """`account` is that of a tenant's searches; it raises NotFoundError for one that is gone."""
        self._models = models
        self._account = account
        self._loop: asyncio.AbstractEventLoop | None = None

    def start(self) -> None:
        """The running event loop is the one that the queues are waited for in."""
        self._loop = asyncio.get_running_loop()

    def encoder(self, tenant: str, reference: str) -> DocumentEncoder:
        """The bi-encoder of that reference."""
        return _Documents(reference, self._models, partial(self._wait, tenant))

    def token_encoder(self, tenant: str, reference: str) -> TokenEncoder:
        """The multi-vector model of that reference."""
        return _Tokens(reference, self._models, partial(self._wait, tenant))

    def _wait(self, tenant: str, queued: Queued[T]) -> T:
        try:
            account = self._account(tenant)
        except NotFoundError:
            account = Account(tenant)
        assert self._loop is not None, "nothing is written before the server starts"
        budget = Budget(account=replace(account, priority=max(Priority.LOW, account.priority)))
        return asyncio.run_coroutine_threadsafe(queued(budget), self._loop).result()


class _Documents:
    """As `DocumentEncoder`; the model is asked for by every call, so that it is not let go while a write goes on."""

    def __init__(self, reference: str, models: Models, wait: Callable[[Queued[Vectors]], Vectors]) -> None:
        self.reference = reference
        self._models = models
        self._wait = wait

    @property
    def dimensions(self) -> int:
        return self._models.encoder(self.reference).dimensions

    def tokeniser(self) -> Tokeniser | None:
        return self._models.encoder(self.reference).tokeniser()

    def encode_documents(self, passages: Sequence[str]) -> Vectors:
        model = self._models.encoder(self.reference)

        async def queued(budget: Budget) -> Vectors:
            return (await model.encode_passages(passages, budget=budget)).vectors

        return self._wait(queued)


class _Tokens:
    """As `TokenEncoder`."""

    def __init__(
        self, reference: str, models: Models, wait: Callable[[Queued[list[StoredVectors]]], list[StoredVectors]]
    ) -> None:
        self.reference = reference
        self._models = models
        self._wait = wait

    @property
    def dimensions(self) -> int:
        return self._models.token_encoder(self.reference).dimensions

    def encode_documents(self, passages: Sequence[str]) -> list[StoredVectors]:
        model, tokens = self._models.token_encoder(self.reference), approximate_tokens(passages, most=DOC_TOKENS)

        async def queued(budget: Budget) -> list[StoredVectors]:
            found, _ = await model.queue.run(lambda: _encoding(model, passages), budget=budget, tokens=tokens)
            return found

        return self._wait(queued)


def _encoding(model: MultiVectorModel, passages: Sequence[str]) -> Stepwise[list[StoredVectors]]:
    model.ensure_loaded()
    lengths = [round(approximate_tokens([passage], most=DOC_TOKENS)) for passage in passages]
    found: dict[int, StoredVectors] = {}
    for rows in by_token_budget(lengths, model.step_tokens(_BATCH_TOKENS)):
        yield sum(lengths[row] for row in rows)
        found.update(zip(rows, model.encode_documents([passages[row] for row in rows]), strict=True))
    return [found[row] for row in range(len(passages))]
