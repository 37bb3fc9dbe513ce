"""A server for measurements is for this process alone, whatever the data folder's own server asks for."""

from __future__ import annotations

from pathlib import Path

from cascade.config import parse
from cascade.evaluate.serving import alone, serving
from cascade_server.control.state import Quota, Role
from cascade_server.control.store import Store
from cascade_server.settings import Settings


async def test_measuring_needs_no_key_and_is_nobodys_usage(tmp_path: Path) -> None:
    settings = Settings(port=0, metrics_port=None, data_dir=tmp_path, require_credentials=True)
    store = Store(settings.store_at)
    store.migrate()
    store.create_tenant("test", "acme", Quota(max_concurrent_requests=1))
    store.create_key("test", None, Role.ADMIN)
    before = store.state()
    config = parse("retrieve: [{kind: bm25}]", "words")
    async with serving(settings, "acme", only={"words": config}) as served:
        assert (await served.client.rank("fox", documents=["a fox"], cascade="words")).results
        info = await served.client.info()
        assert info.quota.max_concurrent_requests is None
    assert store.state() == before
    assert store.usage(None) == []
    store.close()


async def test_measuring_is_not_refused_for_the_load_that_it_makes(tmp_path: Path) -> None:
    """Nor made cheaper: less would be measured than was asked for."""
    settings = Settings(port=0, metrics_port=None, data_dir=tmp_path, overload="adaptive")
    with alone(settings) as chosen:
        assert chosen.overload == "fixed"
