"""Versions of cascades over the wire: kept, listed, compared, and refused when they are not sound."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import grpc
import pytest

pytestmark = pytest.mark.asyncio(loop_scope="session")

_BROKEN = "retrieve: [{kind: bm25}]\ntiers: [{kind: identity, depth: 500}]\nsurprise: 1\n"


async def test_a_version_is_kept_as_it_was_put(admin: Any, tenant: str) -> None:
    text = "# why\ndescription: words\nretrieve: [{kind: bm25}]\n"
    put = await admin("PutCascade", cascade="words", text=text)
    assert put.created
    assert (put.version.tenant, put.version.cascade, put.version.version) == (tenant, "words", 1)
    assert (put.version.description, put.version.text) == ("words", "")
    found = (await admin("GetCascadeVersion", cascade="words")).version
    assert found.text == text
    assert found.config_hash == put.version.config_hash
    assert found.created_by == (await admin("ListKeys")).keys[0].key_id


async def test_the_same_content_is_the_same_version(admin: Any, search: str) -> None:
    same = "retrieve:\n- kind: bm25\ntiers:\n- {name: keep, depth: 5, kind: identity}\n"
    put = await admin("PutCascade", cascade=search, text=same)
    assert (put.created, put.version.version) == (False, 2)


async def test_versions_are_listed_by_cascade_newest_first_without_text(admin: Any, search: str) -> None:
    await admin("PutCascade", cascade="another", text="retrieve: [{kind: bm25}]")
    await admin("ActivateCascade", cascade=search, version=1)
    found = await admin("ListCascadeVersions")
    assert [(v.cascade, v.version, v.text) for v in found.versions] == [
        ("another", 1, ""),
        ("search", 2, ""),
        ("search", 1, ""),
    ]
    assert [(r.cascade, r.active_version) for r in found.rollouts] == [("search", 1)]
    one = await admin("ListCascadeVersions", cascade="another")
    assert [v.cascade for v in one.versions] == ["another"]
    assert not one.rollouts


async def test_what_is_not_there_is_not_found(admin: Any, search: str, refused: Any) -> None:
    for call in (
        admin("GetCascadeVersion", cascade="absent"),
        admin("GetCascadeVersion", cascade=search, version=3),
        admin("ActivateCascade", cascade=search, version=3),
        admin("DiffCascade", cascade=search, from_version=1, to_version=9),
        admin("ListCascadeVersions", cascade="absent"),
    ):
        assert (await refused(call)).code is grpc.StatusCode.NOT_FOUND


async def test_a_difference_is_of_texts_and_of_what_they_mean(admin: Any, search: str) -> None:
    found = await admin("DiffCascade", cascade=search, from_version=1)
    assert "+# wider\n" in found.diff
    assert found.diff.startswith("--- search version 1\n+++ search version 2\n")
    assert list(found.changes) == ["tiers.0.depth: 3 -> 5"]


async def test_a_difference_begins_at_the_active_version(admin: Any, search: str, refused: Any) -> None:
    refusal = await refused(admin("DiffCascade", cascade=search))
    assert refusal.code is grpc.StatusCode.FAILED_PRECONDITION
    assert "from_version" in refusal.message
    await admin("ActivateCascade", cascade=search, version=2)
    same = await admin("DiffCascade", cascade=search)
    assert (same.diff, list(same.changes)) == ("", [])


async def test_everything_that_is_wrong_with_a_cascade_is_said_and_nothing_is_kept(admin: Any, refused: Any) -> None:
    found = await admin("ValidateCascade", text=_BROKEN)
    assert any("surprise" in problem for problem in found.problems)
    assert found.config_hash == ""
    refusal = await refused(admin("PutCascade", cascade="broken", text=_BROKEN))
    assert refusal.code is grpc.StatusCode.FAILED_PRECONDITION
    assert all(problem in refusal.message for problem in found.problems)
    assert not (await admin("ListCascadeVersions")).versions


async def test_a_sound_cascade_has_the_hash_that_it_would_be_kept_under(admin: Any) -> None:
    text = "retrieve: [{kind: bm25}]"
    found = await admin("ValidateCascade", text=text)
    assert not found.problems
    put = await admin("PutCascade", cascade="words", text=text)
    assert put.version.config_hash == found.config_hash


@pytest.mark.parametrize(
    "tier",
    [
        "{kind: cross_encoder, depth: 5, model: /etc}",
        "{kind: cross_encoder, depth: 5, model: someone/anything}",
        "{kind: permutation, depth: 5, endpoint: {url: 'http://169.254.169.254/v1', model: m}}",
    ],
    ids=["folder", "hub", "endpoint"],
)
async def test_a_source_that_is_not_allowed_is_never_kept(admin: Any, refused: Any, tier: str) -> None:
    text = f"retrieve: [{{kind: bm25}}]\ntiers: [{tier}]\n"
    assert (await admin("ValidateCascade", text=text)).problems
    refusal = await refused(admin("PutCascade", cascade="sly", text=text))
    assert refusal.code is grpc.StatusCode.FAILED_PRECONDITION


async def test_validating_loads_models_when_that_is_asked_for(admin: Any, empty_model: Path) -> None:
    text = f"retrieve: [{{kind: bm25}}]\ntiers: [{{kind: cross_encoder, depth: 5, model: {empty_model}}}]\n"
    assert not (await admin("ValidateCascade", text=text)).problems
    (problem,) = (await admin("ValidateCascade", text=text, load=True)).problems
    assert "cannot be loaded" in problem
