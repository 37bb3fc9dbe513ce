"""GetInfo shows a tenant what it may use."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from cascade_api.v1 import server_pb2
from cascade_server.settings import Settings

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_cascades_are_shown_with_their_stages(plain: Any, configs: Any) -> None:
    info = await plain.info.GetInfo(server_pb2.GetInfoRequest())
    assert info.tenant == "default"
    (cascade,) = info.cascades
    assert (cascade.name, cascade.description) == ("plain", "words only")
    assert cascade.config_hash == configs["plain"].config_hash
    assert [(s.name, s.kind, s.depth) for s in cascade.stages] == [
        ("bm25", "bm25", 100),
        ("fuse", "rrf", 100),
        ("keep", "identity", 5),
        ("trim", "identity", 2),
    ]


async def test_limits_are_advertised_as_they_are_set(plain: Any) -> None:
    limits = (await plain.info.GetInfo(server_pb2.GetInfoRequest())).limits
    settings = plain.server.settings
    assert limits.max_message_bytes == settings.max_message_bytes == 16 * 1024 * 1024
    assert limits.max_top_k == settings.max_top_k
    assert limits.max_documents == settings.max_documents
    assert limits.max_query_chars == settings.max_query_chars
    assert limits.max_document_chars == settings.max_document_chars
    assert limits.max_concurrent_requests == settings.max_concurrent_requests


async def test_models_are_shown_with_their_state(library: Any) -> None:
    info = await library.info.GetInfo(server_pb2.GetInfoRequest())
    assert [(m.model, m.kind, m.ready, m.problem) for m in info.models] == [
        ("embedded:all-minilm-l6-v2", "bi_encoder", True, "")
    ]


async def test_a_tenant_sees_and_uses_its_own_cascades_and_indexes_only(
    serve: Any, configs: Any, refused: Any, tmp_path: Any
) -> None:
    for tenant, cascade in (("default", "plain"), ("acme", "special")):
        folder = tmp_path / "cascades" / tenant
        folder.mkdir(parents=True)
        (folder / f"{cascade}.yaml").write_text("retrieve: [{kind: bm25}]")
        for preset in ("fast", "quality", "rerank"):
            (folder / f"{preset}.yaml").write_text("retrieve: [{kind: bm25}]")
    index = tmp_path / "indexes" / "default" / "secret"
    index.mkdir(parents=True)
    async with serve(tmp_path, cascades_dir=tmp_path / "cascades", tenant="acme") as acme:
        info = await acme.info.GetInfo(server_pb2.GetInfoRequest(), metadata=acme.metadata)
        assert (info.tenant, [c.name for c in info.cascades]) == ("acme", ["fast", "quality", "rerank", "special"])
        assert (await acme.rank(cascade="special")).results
        assert "known: fast, quality, rerank, special" in (await refused(acme.rank(cascade="plain"))).message
        assert (await refused(acme.rank(cascade="special", index="secret"))).message.endswith("known: none")


@pytest.mark.parametrize("name", list(server_pb2.Limits.DESCRIPTOR.fields_by_name))
async def test_a_limit_that_could_not_be_advertised_is_refused(name: str) -> None:
    with pytest.raises(ValidationError, match="less than or equal to 2147483647"):
        Settings.model_validate({name: 2**31})
