"""What was in force is in force again after a crash, or else the version before."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from cascade_server.control.store import Store

pytestmark = pytest.mark.asyncio(loop_scope="session")

WORDS = "retrieve: [{kind: bm25}]\n"


def reading(model: Path) -> str:
    return f"{WORDS}tiers: [{{kind: cross_encoder, depth: 5, model: {model}}}]\n"


async def test_after_a_crash_the_active_version_answers_or_the_one_before_it(
    serve: Any, configs: Any, tmp_path: Path, tiny_cross_encoder: Path
) -> None:
    model = tmp_path / "models" / "tiny"
    shutil.copytree(tiny_cross_encoder, model)
    store = Store(f"sqlite:///{tmp_path / 'control.db'}")  # what a server that was killed has left behind
    store.migrate()
    for text in (WORDS, reading(model)):
        store.put_version("ann", "default", "search", text)
    for number in (1, 2):
        store.activate("ann", "default", "search", number)
    store.close()

    async def version(**options: Any) -> int:
        async with serve(tmp_path, {"plain": configs["plain"]}, **options) as running:
            assert await running.serving()
            return int((await running.rank(cascade="search")).provenance.cascade_version)

    assert await version(model_roots=(tmp_path / "models",)) == 2
    assert await version() == 1  # its folder is not allowed any more
    shutil.rmtree(model)
    assert await version(model_roots=(tmp_path / "models",)) == 1
    shutil.copytree(tiny_cross_encoder, model)
    assert await version(model_roots=(tmp_path / "models",)) == 2
