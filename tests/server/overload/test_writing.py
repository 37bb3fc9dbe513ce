"""Writing an index makes no search wait longer than for one step."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from cascade.budget import Account, Priority
from cascade.inference.load import QueueLoad
from cascade_api.v1 import index_pb2

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_documents_are_encoded_on_their_tenants_account_after_all_searches(
    library: Any, hung: Any, texts: Any
) -> None:
    queue = library.server.models.encoder(library.server.settings.default_encoder).queue

    async def waits() -> QueueLoad:
        while True:
            load: QueueLoad = queue.load
            if any(backlog.account.priority is Priority.LOW for backlog in load.backlogs):
                return load
            await asyncio.sleep(0.01)

    await library.indexes.CreateIndex(index_pb2.CreateIndexRequest(name="written"))
    async with hung(library):
        before = queue.load.ahead(Account("default"))
        writing = asyncio.ensure_future(library.upsert("written", texts("a new apple", "an old pear", named=True)))
        load = await waits()
        assert Account("default", 1.0, Priority.LOW) in [backlog.account for backlog in load.backlogs]
        assert load.ahead(Account("default")) == before
    assert (await writing).added == 2
    found = await library.rank(cascade="meaning", index="written", query="a new apple")
    assert found.results[0].doc_id == "d0"
    await library.indexes.DropIndex(index_pb2.DropIndexRequest(name="written"))
