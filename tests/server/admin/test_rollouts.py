"""Which versions answer: changed over the wire, and in force when the call returns."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import grpc
import pytest

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_a_version_answers_as_soon_as_it_is_activated(admin: Any, search: str, refused: Any) -> None:
    assert (await refused(admin.rank(cascade=search))).code is grpc.StatusCode.NOT_FOUND
    for number in (1, 2):
        rollout = (await admin("ActivateCascade", cascade=search, version=number)).rollout
        assert rollout.active_version == number
        answer = await admin.rank(cascade=search)
        assert (answer.provenance.cascade_version, answer.provenance.canary) == (number, False)


async def test_rolling_back_brings_back_the_version_before(admin: Any, search: str, refused: Any) -> None:
    await admin("ActivateCascade", cascade=search, version=1)
    await admin("ActivateCascade", cascade=search, version=2)
    rollout = (await admin("RollBackCascade", cascade=search)).rollout
    assert (rollout.active_version, rollout.previous_version) == (1, 0)
    assert (await admin.rank(cascade=search)).provenance.cascade_version == 1
    refusal = await refused(admin("RollBackCascade", cascade=search))
    assert refusal.code is grpc.StatusCode.FAILED_PRECONDITION


async def test_a_canary_answers_its_share_until_it_ends(admin: Any, search: str) -> None:
    await admin("ActivateCascade", cascade=search, version=1)
    rollout = (await admin("SetCanary", cascade=search, version=2, percent=100)).rollout
    assert (rollout.canary_version, rollout.canary_percent) == (2, 100)
    made = (await admin.rank(cascade=search)).provenance
    assert (made.cascade_version, made.canary) == (2, True)
    assert (await admin("SetCanary", cascade=search)).rollout.canary_version == 0
    assert (await admin.rank(cascade=search)).provenance.cascade_version == 1


async def test_who_sends_a_sticky_key_always_meets_the_same_version(admin: Any, search: str) -> None:
    await admin("ActivateCascade", cascade=search, version=1)
    await admin("SetCanary", cascade=search, version=2, percent=50)
    met = {}
    for _ in range(3):
        for user in range(12):
            answer = await admin.rank(cascade=search, sticky_key=f"user {user}")
            met.setdefault(user, set()).add(answer.provenance.cascade_version)
    assert all(len(versions) == 1 for versions in met.values())
    assert {version for versions in met.values() for version in versions} == {1, 2}


async def test_activating_the_canary_ends_it(admin: Any, search: str) -> None:
    await admin("ActivateCascade", cascade=search, version=1)
    await admin("SetCanary", cascade=search, version=2, percent=10)
    rollout = (await admin("ActivateCascade", cascade=search, version=2)).rollout
    assert (rollout.active_version, rollout.previous_version, rollout.canary_version) == (2, 1, 0)


async def test_a_shadow_changes_no_answer(admin: Any, search: str) -> None:
    await admin("ActivateCascade", cascade=search, version=1)
    before = await admin.rank(cascade=search)
    rollout = (await admin("SetShadow", cascade=search, version=2, percent=100)).rollout
    assert (rollout.shadow_version, rollout.shadow_percent) == (2, 100)
    after = await admin.rank(cascade=search)
    assert (after.results, after.provenance) == (before.results, before.provenance)


async def test_a_share_needs_an_active_version(admin: Any, search: str, refused: Any) -> None:
    for method in ("SetCanary", "SetShadow"):
        refusal = await refused(admin(method, cascade=search, version=2, percent=10))
        assert refusal.code in (grpc.StatusCode.FAILED_PRECONDITION, grpc.StatusCode.NOT_FOUND)


async def test_a_deactivated_cascade_is_served_no_longer_and_keeps_its_versions(
    admin: Any, search: str, refused: Any
) -> None:
    await admin("ActivateCascade", cascade=search, version=1)
    await admin("DeactivateCascade", cascade=search)
    assert (await refused(admin.rank(cascade=search))).code is grpc.StatusCode.NOT_FOUND
    assert len((await admin("ListCascadeVersions")).versions) == 2


async def test_a_version_whose_models_cannot_be_loaded_never_becomes_active(
    admin: Any, search: str, empty_model: Path, refused: Any
) -> None:
    await admin("ActivateCascade", cascade=search, version=1)
    bad = f"retrieve: [{{kind: bm25}}]\ntiers: [{{kind: cross_encoder, depth: 5, model: {empty_model}}}]\n"
    number = (await admin("PutCascade", cascade=search, text=bad)).version.version
    for call in (
        admin("ActivateCascade", cascade=search, version=number),
        admin("SetCanary", cascade=search, version=number, percent=10),
        admin("SetShadow", cascade=search, version=number, percent=10),
    ):
        refusal = await refused(call)
        assert refusal.code is grpc.StatusCode.FAILED_PRECONDITION
        assert refusal.reason == "MODEL_LOAD"
    (rollout,) = (await admin("ListCascadeVersions")).rollouts
    assert (rollout.active_version, rollout.canary_version, rollout.shadow_version) == (1, 0, 0)
    assert (await admin.rank(cascade=search)).provenance.cascade_version == 1
