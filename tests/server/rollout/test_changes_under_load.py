"""While versions change, every answer is whole, of one version, and of one that was in force."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path
from typing import Any

import pytest

from cascade.weights import resolve_model
from cascade_api.v1 import index_pb2, server_pb2
from cascade_server.control.store import Store

pytestmark = pytest.mark.asyncio(loop_scope="session")


def keeping(depth: int) -> str:
    return f"retrieve: [{{kind: bm25}}]\ntiers: [{{kind: identity, name: keep{depth}, depth: {depth}}}]\n"


async def test_a_hundred_changes_under_load_lose_no_request_and_mix_no_versions(changing: Any) -> None:
    hashes = await changing.put("busy", *map(keeping, range(1, 5)))
    await changing("ActivateCascade", cascade="busy", version=1)
    history: list[set[int]] = [{1}]  # what may answer, after every change
    done = False
    answers = 0

    async def ask(user: int) -> None:
        nonlocal answers
        while not done:
            begun = len(history) - 1
            answer = await changing.running.rank(cascade="busy", sticky_key=f"user {user}")
            made, stages = answer.provenance, [t.stage for t in answer.trace]
            assert made.config_hash == hashes[made.cascade_version]
            assert stages[-1] == f"keep{made.cascade_version}"
            assert made.cascade_version in set().union(*history[begun:])
            answers += 1

    async def ask_in_a_stream(user: int) -> None:
        while not done:
            updates = await changing.running.stream(cascade="busy", sticky_key=f"user {user}")
            assert len({update.response.provenance.cascade_version for update in updates}) == 1
            assert updates[-1].final

    async def change() -> None:
        nonlocal done
        active, canary = 1, 0
        try:
            for i in range(100):
                before, number = {active, canary}, 1 + (i // 3 + i % 3) % 4
                if i % 3 == 0:
                    active, canary = number, canary if canary != number else 0
                    change = changing("ActivateCascade", cascade="busy", version=active)
                else:
                    canary = number if i % 3 == 1 else 0
                    change = changing("SetCanary", cascade="busy", version=canary, percent=50 if canary else 0)
                history.append(before | {active, canary})
                await change
                history.append({active, canary})
        finally:
            done = True

    async with asyncio.TaskGroup() as group:
        group.create_task(change())
        for user in range(2):
            group.create_task(ask(user))
        group.create_task(ask_in_a_stream(9))
    assert answers > 0


async def test_a_change_made_by_another_process_comes_into_force_by_itself(changing: Any) -> None:
    await changing.put("elsewhere", *map(keeping, (1, 2)))
    await changing("ActivateCascade", cascade="elsewhere", version=1)
    other = Store(changing.running.server.settings.store_at)
    await asyncio.to_thread(other.activate, "ann", "default", "elsewhere", 2)
    await asyncio.to_thread(other.close)

    async def followed() -> bool:
        answer = await changing.running.rank(cascade="elsewhere")
        return bool(answer.provenance.cascade_version == 2)

    await changing.until(followed)


async def test_info_says_which_version_answers(changing: Any) -> None:
    await changing.put("shown", *map(keeping, (1, 2)))
    await changing("ActivateCascade", cascade="shown", version=2)
    info = await changing.running.info.GetInfo(server_pb2.GetInfoRequest())
    versions = {c.name: c.version for c in info.cascades}
    assert (versions["shown"], versions["plain"]) == (2, 0)


async def test_answers_of_the_canary_and_of_the_active_version_are_measured_apart(changing: Any) -> None:
    running, of = changing.running, {"tenant": "default", "cascade": "measured"}
    await changing.put("measured", *map(keeping, (1, 2, 3)))
    await changing("ActivateCascade", cascade="measured", version=1)
    await running.rank(cascade="measured")
    await changing("SetCanary", cascade="measured", version=2, percent=100)
    assert (await running.rank(cascade="measured")).provenance.canary
    for part in ("active", "canary"):
        assert await running.metric("cascade_rollout_duration_seconds_count", version=part, **of) == 1
    await changing("SetCanary", cascade="measured", version=3, percent=100)
    assert await running.metric("cascade_rollout_duration_seconds_count", version="canary", **of) == 0
    assert await running.metric("cascade_rollout_version", version="canary", **of) == 3


async def test_an_index_may_be_made_for_a_version_that_is_not_active_yet(changing: Any, refused: Any) -> None:
    running = changing.running
    model = running.server.settings.model_roots[0] / "other"
    wanted = index_pb2.CreateIndexRequest(name="next", encoder=str(model))
    assert (await refused(running.indexes.CreateIndex(wanted))).reason == "MODEL_LOAD"
    encoder = Path(resolve_model("embedded:all-minilm-l6-v2"))
    await asyncio.to_thread(shutil.copytree, encoder, model)
    await changing.put("moving", keeping(1), f"retrieve: [{{kind: dense, model: {model}}}]")
    await changing("ActivateCascade", cascade="moving", version=1)
    await changing("SetShadow", cascade="moving", version=2, percent=0.1)
    assert (await running.indexes.CreateIndex(wanted)).index.encoder == str(model)


async def test_a_sticky_key_that_is_too_long_is_refused(changing: Any, refused: Any) -> None:
    refusal = await refused(changing.running.rank(sticky_key="x" * 5000))
    assert refusal.violations == {"sticky_key": "found 5000 characters, expected at most 4096"}


async def test_a_shadow_changes_no_answer_costs_its_tenant_nothing_and_is_measured(
    changing: Any, tiny_cross_encoder: Path
) -> None:
    running = changing.running
    model = running.server.settings.model_roots[0] / "tiny"
    shutil.copytree(tiny_cross_encoder, model)
    tier = f"{{kind: cross_encoder, depth: 4, model: {model}}}"
    await changing.put("watched", keeping(4), f"retrieve: [{{kind: bm25}}]\ntiers: [{tier}]\n")
    await changing("ActivateCascade", cascade="watched", version=1)
    before = await running.rank(cascade="watched")
    await changing("SetShadow", cascade="watched", version=2, percent=100)
    after = await running.rank(cascade="watched")
    assert [r.doc_id for r in after.results] == [r.doc_id for r in before.results]
    assert after.provenance == before.provenance
    of = {"tenant": "default", "cascade": "watched"}
    await changing.until(lambda: running.metric("cascade_shadow_rbo_count", **of))
    assert await running.metric("cascade_shadow_overlap_sum", **of) == 1.0
    assert await running.metric("cascade_rollout_tokens_total", version="shadow", **of) > 0
    assert await running.metric("cascade_rollout_tokens_total", version="active", **of) == 0
    assert await running.metric("cascade_tokens_total", stage="cross_encoder", kind="cross_encoder", **of) == 0
    assert await running.metric("cascade_requests_total", code="OK", **of) == 2


async def test_problems_are_told(changing: Any) -> None:
    running = changing.running
    of = {"tenant": "default", "cascade": "broken"}
    model = running.server.settings.model_roots[0] / "gone"
    await changing.put(
        "broken", keeping(1), f"retrieve: [{{kind: bm25}}]\ntiers: [{{kind: cross_encoder, depth: 1, model: {model}}}]"
    )
    await changing("ActivateCascade", cascade="broken", version=1)
    other = Store(running.server.settings.store_at)  # which does not try whether models can be loaded
    await asyncio.to_thread(other.activate, "ann", "default", "broken", 2)
    await asyncio.to_thread(other.close)
    await changing.until(lambda: running.metric("cascade_rollout_problems", **of))
    assert (await running.rank(cascade="broken")).provenance.cascade_version == 1
    assert await running.serving()
    await changing("RollBackCascade", cascade="broken")
    assert not await running.metric("cascade_rollout_problems", **of)
