"""A reload changes everything or nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from cascade.build import Models
from cascade.config import CascadeConfig, parse
from cascade.errors import ConfigError, ModelLoadError, NotFoundError
from cascade_server.tenants import Tenants

ONE = parse("retrieve: [{kind: bm25}]", "one")
TWO = parse("retrieve: [{kind: bm25, depth: 7}]", "two")
LOST = parse("retrieve: [{kind: bm25}]\ntiers: [{kind: cross_encoder, depth: 5, model: /no/such/model}]", "lost")


class Folder:
    """What the files say, and what is wrong with them."""

    def __init__(self, **tenants: Mapping[str, CascadeConfig]) -> None:
        self.tenants = tenants
        self.problems: list[str] = []

    def read(self) -> Mapping[str, Mapping[str, CascadeConfig]]:
        if self.problems:
            raise ConfigError("folder", self.problems)
        return self.tenants


async def loaded(folder: Folder) -> Tenants:
    tenants = Tenants(folder.read, Models())
    tenants.read()
    await tenants.warm_up()
    return tenants


def names(tenants: Tenants) -> dict[str, list[str]]:
    return {tenant: sorted(tenants.get(tenant).serving) for tenant in tenants.names}


async def test_a_reload_takes_over_what_is_new_and_lets_go_of_what_is_gone() -> None:
    folder = Folder(default={"a": ONE, "b": ONE}, acme={"a": ONE})
    tenants = await loaded(folder)
    folder.tenants = {"default": {"a": TWO, "c": ONE}, "beta": {"a": ONE}}
    await tenants.reload()
    assert names(tenants) == {"beta": ["a"], "default": ["a", "c"]}
    assert tenants.get("default").choose("a", "").cascade.config == TWO
    with pytest.raises(NotFoundError):
        tenants.get("acme")


async def test_a_cascade_that_says_the_same_is_the_same_after_a_reload() -> None:
    folder = Folder(default={"a": ONE, "b": ONE})
    tenants = await loaded(folder)
    before = tenants.get("default").choose("a", "").cascade
    folder.tenants = {"default": {"a": ONE, "b": TWO}}
    await tenants.reload()
    assert tenants.get("default").choose("a", "").cascade is before


async def test_a_reload_of_broken_files_changes_nothing() -> None:
    folder = Folder(default={"a": ONE})
    tenants = await loaded(folder)
    folder.problems = ["a.yaml: retreive: unknown key"]
    with pytest.raises(ConfigError, match="retreive"):
        await tenants.reload()
    assert names(tenants) == {"default": ["a"]}


async def test_a_reload_that_names_a_lost_model_changes_nothing() -> None:
    folder = Folder(default={"a": ONE})
    tenants = await loaded(folder)
    folder.tenants = {"default": {"a": TWO, "b": LOST}}
    with pytest.raises(ModelLoadError, match="/no/such/model"):
        await tenants.reload()
    assert names(tenants) == {"default": ["a"]}
    assert tenants.get("default").choose("a", "").cascade.config == ONE


async def test_a_lost_model_at_the_start_spoils_its_own_cascade_only_and_no_later_reload() -> None:
    folder = Folder(default={"a": ONE, "b": LOST})
    tenants = await loaded(folder)
    folder.tenants = {"default": {"a": TWO, "b": LOST}}
    await tenants.reload()
    assert tenants.get("default").choose("a", "").cascade.config == TWO
    with pytest.raises(ModelLoadError, match="/no/such/model"):
        tenants.get("default").choose("b", "")


async def test_a_tenant_that_is_not_found_is_told_no_other() -> None:
    tenants = await loaded(Folder(default={"a": ONE}))
    with pytest.raises(NotFoundError, match=r"^no tenant named 'stranger'$"):
        tenants.get("stranger")


@pytest.mark.asyncio(loop_scope="session")
async def test_a_server_refuses_to_start_with_a_typo_and_says_where(serve: Any, tmp_path: Any) -> None:
    folder = tmp_path / "cascades" / "default"
    folder.mkdir(parents=True)
    (folder / "mine.yaml").write_text("retrieve: [{kind: bm25, dept: 3}]")
    with pytest.raises(ConfigError, match=r"mine\.yaml: retrieve\.0\.bm25\.dept: unknown key"):
        async with serve(tmp_path, cascades_dir=tmp_path / "cascades"):
            raise AssertionError("started")


@pytest.mark.asyncio(loop_scope="session")
async def test_a_port_that_is_taken_is_named(serve: Any, plain: Any, tmp_path: Any) -> None:
    with pytest.raises(ConfigError, match=f"port: 127.0.0.1:{plain.server.port} cannot be listened on"):
        async with serve(tmp_path, {}, port=plain.server.port):
            raise AssertionError("started")
