"""Whatever goes wrong when models are loaded, it is that version's problem, and loading goes on."""

from __future__ import annotations

import asyncio
import shutil
import socket
from pathlib import Path

import pytest

from cascade.build import build_cascade
from cascade.config import parse
from cascade.engine import Cascade
from cascade.errors import ModelLoadError
from cascade.fuse.rrf import RrfFuser
from cascade.models import Models
from cascade_server.rollout.loading import Loading
from cascade_server.rollout.serving import Wired


class Odd:
    """Fails its self-test in a way that nobody foresaw."""

    async def warm_up(self) -> None:
        raise RuntimeError("out of memory")


def odd() -> Cascade:
    return Cascade("odd", parse("retrieve: [{kind: bm25}]", "odd"), RrfFuser("fuse"), (), encoders=(Odd(),))


async def test_an_error_that_nobody_foresaw_is_the_version_s_problem() -> None:
    ended: list[Wired] = []
    wired = Wired(odd(), 1)
    loading = Loading(Models(device="cpu"), lambda: ended.append(wired))
    loading.want([wired])
    await asyncio.wait(set(loading.tasks))
    assert not list(loading.tasks), "or whoever waits for what is being loaded waits for ever"
    assert ended == [wired]
    assert not wired.usable
    assert isinstance(wired.problem, ModelLoadError)
    assert "RuntimeError: out of memory" in str(wired.problem)


async def test_a_trial_says_so_too() -> None:
    with pytest.raises(ModelLoadError, match="out of memory"):
        await Loading(Models(device="cpu"), lambda: None).try_load(odd())


async def test_an_endpoint_that_does_not_answer_holds_up_no_other_version(
    tiny_cross_encoder: Path, tmp_path: Path
) -> None:
    models, ended = Models(device="cpu"), asyncio.Event()
    other = shutil.copytree(tiny_cross_encoder, tmp_path / "other")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/v1"
        asking = f", {{kind: logits, depth: 5, endpoint: {{url: '{url}', model: large, timeout_ms: 600000}}}}"
        waiting, free = (
            Wired(build_cascade("test", parse(f"retrieve: [{{kind: bm25}}]\ntiers: [{tiers}]", "test"), models), 1)
            for tiers in (
                f"{{kind: cross_encoder, depth: 5, model: {tiny_cross_encoder}}}{asking}",
                f"{{kind: cross_encoder, depth: 5, model: {other}}}",
            )
        )
        loading = Loading(models, ended.set)
        loading.want([waiting])
        loading.want([waiting, free])
        async with asyncio.timeout(30):
            await ended.wait()
        assert (free.usable, waiting.usable, waiting.problem) == (True, False, None)
        await loading.aclose()
    await models.aclose()
