"""What a tenant's administrator may not have the server do, asked for over the wire."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import grpc
import pytest

pytestmark = pytest.mark.asyncio(loop_scope="session")

BOMB = "\n".join(["a0: &a0 [x]", *(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 30))])


def tier(fields: str) -> str:
    return f"retrieve: [{{kind: bm25}}]\ntiers: [{{depth: 5, {fields}}}]\n"


HOSTILE = {
    "bomb": (BOMB, "keys and values, aliases followed"),
    "deep": ("retrieve: " + "[" * 1000, "nested too deep"),
    "object": ("retrieve: !!python/object/apply:os.system [id]", "not valid YAML"),
    "file": (tier("kind: cross_encoder, model: /etc"), "model_roots"),
    "climb": (tier("kind: cross_encoder, model: ../../secret"), "model_roots"),
    "hub": (tier("kind: cross_encoder, model: evil/model"), "hub_models"),
    "url": (tier("kind: logits, endpoint: {url: 'http://169.254.169.254/v1', model: m}"), "endpoint_urls"),
    "secret": (
        tier("kind: logits, endpoint: {url: 'http://localhost/v1', model: m, api_key_file: /etc/shadow}"),
        "secret_roots",
    ),
}


@pytest.mark.parametrize("kind", HOSTILE)
async def test_a_hostile_cascade_is_refused_and_not_kept(changing: Any, refused: Any, kind: str) -> None:
    text, expected = HOSTILE[kind]
    refusal = await refused(changing("PutCascade", cascade="hostile", text=text))
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "CONFIG")
    assert expected in refusal.message
    validated = await changing("ValidateCascade", text=text)
    assert expected in " ".join(validated.problems)
    assert (await refused(changing("ListCascadeVersions", cascade="hostile"))).code is grpc.StatusCode.NOT_FOUND


@pytest.fixture
def link(changing: Any) -> Path:
    """A link from the allowed folder to elsewhere."""
    root: Path = changing.running.server.settings.model_roots[0]
    root.mkdir(exist_ok=True)
    (root / "link").symlink_to("/etc")
    return root / "link"


async def test_a_link_out_of_the_allowed_folder_is_refused(changing: Any, refused: Any, link: Path) -> None:
    text = tier(f"kind: cross_encoder, model: {link}")
    assert "model_roots" in (await refused(changing("PutCascade", cascade="hostile", text=text))).message


@pytest.mark.parametrize("name", ["../search", "a/b", "..", "A", "a\x00b", "a" * 64])
async def test_names_that_are_paths_are_refused_as_cascades_and_as_tenants(
    changing: Any, refused: Any, name: str
) -> None:
    text = "retrieve: [{kind: bm25}]"
    for call in (changing("PutCascade", cascade=name, text=text), changing("CreateTenant", name=name)):
        assert (await refused(call)).code is grpc.StatusCode.INVALID_ARGUMENT
    running = changing.running
    assert (await refused(running.rank(cascade=name))).code is grpc.StatusCode.NOT_FOUND
