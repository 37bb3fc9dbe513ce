"""What the store says comes into force beside the folder, and what cannot leaves the last good version answering."""

from __future__ import annotations

import asyncio
import gc
import shutil
import socket
import threading
import weakref
from collections.abc import Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cascade.budget import Account, Budget, Priority
from cascade.build import Models
from cascade.config import CascadeConfig, parse
from cascade.errors import ConfigError, ModelLoadError, NotFoundError
from cascade.inference.cross_encoder import CrossEncoderModel
from cascade_server.control.state import Quota, Rollout, State, TenantState
from cascade_server.errors import UnavailableError
from cascade_server.rollout.tenant import Tenant
from cascade_server.tenants import Tenants
from tests.server.rollout.states import MADE, state

ONE, TWO, THREE = (parse(f"retrieve: [{{kind: bm25, depth: {depth}}}]", "test") for depth in (1, 2, 3))
CONFIGS = {1: ONE, 2: TWO, 3: THREE}
LOST = parse("retrieve: [{kind: bm25}]\ntiers: [{kind: cross_encoder, depth: 5, model: /no/such/model}]", "lost")


def reading(model: Path) -> CascadeConfig:
    return parse(f"retrieve: [{{kind: bm25}}]\ntiers: [{{kind: cross_encoder, depth: 5, model: {model}}}]", "test")


class Server:
    """Tenants of a folder and of a store, with all that they tell."""

    def __init__(self, files: Mapping[str, Mapping[str, CascadeConfig]] | None = None, **options: Any) -> None:
        self.files = {"default": {"search": ONE}} if files is None else files
        self.models = Models(device="cpu")
        self.changes: list[set[str]] = []
        self.tenants = Tenants(lambda: self.files, self.models, changed=self._changed, **options)

    async def started(self, state: State) -> Tenants:
        """As a server starts."""
        self.tenants.read()
        await self.tenants.apply(state)
        await self.tenants.warm_up()
        return self.tenants

    def _changed(self, tenants: Mapping[str, Tenant], _problems: object) -> None:
        self.changes.append(set(tenants))


async def started(store: State, **files: Mapping[str, CascadeConfig]) -> Tenants:
    return await Server(files).started(store)


def version(tenants: Tenants, tenant: str = "acme", cascade: str = "search", key: str = "") -> int:
    return tenants.get(tenant).choose(cascade, key).version


@asynccontextmanager
async def busy(models: Models, model: Path) -> Any:
    """Keeps the model's worker busy for the length of a block, so that it cannot be loaded."""
    begun, release = threading.Event(), threading.Event()

    def work() -> None:
        begun.set()
        release.wait()

    queue = models.get(CrossEncoderModel, str(model)).queue
    job = asyncio.ensure_future(queue.run(work, budget=Budget()))
    try:
        await asyncio.to_thread(begun.wait)
        yield
    finally:
        release.set()
        await job


async def test_folder_and_store_are_served_as_one() -> None:
    store = state(Rollout("search", 2), tenant="default", configs=CONFIGS)
    tenants = await started(store, default={"search": ONE, "plain": ONE}, other={"plain": ONE})
    assert tenants.names == ("default", "other")
    assert version(tenants, "default") == 2
    assert tenants.get("default").choose("search", "").cascade.config == TWO
    assert version(tenants, "default", "plain") == 0
    assert version(tenants, "other", "plain") == 0


async def test_a_tenant_of_the_store_is_there_before_it_has_cascades() -> None:
    quota = Quota(tokens_per_second=5.0, priority=Priority.HIGH, weight=2.0)
    tenants = await started(state(configs={}, quota=quota))
    acme = tenants.get("acme")
    assert acme.quota == quota
    assert acme.account == Account("acme", 2.0, Priority.HIGH)
    with pytest.raises(NotFoundError, match="known: none"):
        acme.choose("search", "")


async def test_a_tenant_of_the_folder_has_no_limits_unless_the_store_knows_it() -> None:
    tenants = await started(State(), acme={"search": ONE})
    assert tenants.get("acme").quota == Quota()
    await tenants.apply(state(configs={}, quota=Quota(max_depth=5)))
    assert tenants.get("acme").quota == Quota(max_depth=5)
    assert version(tenants) == 0


async def test_only_what_changed_is_made_anew() -> None:
    many = {
        f"tenant-{i}": TenantState(f"tenant-{i}", MADE, Quota(), {"search": Rollout("search", 1)}) for i in range(50)
    }
    store = State(1, many, {(tenant, "search", n): c for tenant in many for n, c in CONFIGS.items()})
    tenants = await started(store)
    before = {tenant: tenants.get(tenant) for tenant in many}
    changed = replace(many["tenant-7"], rollouts={"search": Rollout("search", 2, previous=1)})
    await tenants.apply(replace(store, revision=2, tenants=many | {"tenant-7": changed}))
    assert [tenant for tenant in many if tenants.get(tenant) is not before[tenant]] == ["tenant-7"]
    assert version(tenants, "tenant-7") == 2


async def test_a_canary_that_is_promoted_is_the_same_cascade() -> None:
    canary = Rollout("search", 1, canary=2, canary_percent=100.0)
    tenants = await started(state(canary, configs=CONFIGS))
    before = tenants.get("acme").choose("search", "")
    assert (before.version, before.canary) == (2, True)
    await tenants.apply(state(Rollout("search", 2, previous=1), configs=CONFIGS))
    after = tenants.get("acme").choose("search", "")
    assert (after.version, after.canary) == (2, False)
    assert after.cascade is before.cascade


async def test_a_key_meets_the_same_version_and_a_larger_share_keeps_it() -> None:
    keys = [f"user {i}" for i in range(200)]
    tenants = await started(state(Rollout("search", 1, canary=2, canary_percent=10.0), configs=CONFIGS))
    few = {key for key in keys if version(tenants, key=key) == 2}
    assert few == {key for key in keys if version(tenants, key=key) == 2}
    await tenants.apply(state(Rollout("search", 1, canary=2, canary_percent=50.0), configs=CONFIGS))
    more = {key for key in keys if version(tenants, key=key) == 2}
    assert set() < few < more < set(keys)


async def test_a_shadow_is_chosen_for_its_share_and_answers_nobody() -> None:
    tenants = await started(state(Rollout("search", 1, shadow=3, shadow_percent=50.0), configs=CONFIGS))
    chosen = [tenants.get("acme").choose("search", f"user {i}") for i in range(200)]
    assert {c.version for c in chosen} == {1}
    assert {c.shadow.number if c.shadow else None for c in chosen} == {None, 3}


async def test_a_cascade_that_is_no_longer_served_gives_way_to_the_folder_s() -> None:
    tenants = await started(state(Rollout("search", 2), configs=CONFIGS), acme={"search": ONE})
    await tenants.apply(state(configs={}))
    assert version(tenants) == 0
    await tenants.apply(State())
    assert version(tenants) == 0


async def test_a_tenant_that_is_deleted_is_gone() -> None:
    tenants = await started(state(Rollout("search", 2), configs=CONFIGS))
    await tenants.apply(State())
    assert "acme" not in tenants


async def test_a_tenant_made_again_has_its_own_version_1() -> None:
    tenants = await started(state(Rollout("search", 1), configs=CONFIGS))
    await tenants.apply(state(Rollout("search", 1), configs={1: THREE}))
    assert tenants.get("acme").choose("search", "").cascade.config == THREE


async def test_what_a_request_chose_stays_as_it_was() -> None:
    tenants = await started(state(Rollout("search", 1), configs=CONFIGS))
    acme = tenants.get("acme")
    chosen = acme.choose("search", "")
    await tenants.apply(state(Rollout("search", 2), configs=CONFIGS))
    assert (chosen.version, chosen.cascade.config) == (1, ONE)
    assert acme.choose("search", "").version == 1
    assert version(tenants) == 2


async def test_a_version_that_cannot_be_loaded_leaves_the_last_good_one_and_the_rest_is_done() -> None:
    tenants = await started(state(Rollout("search", 1), Rollout("ads", 1), configs=CONFIGS))
    broken = CONFIGS | {4: LOST}
    await tenants.apply(state(Rollout("search", 4, previous=1), Rollout("ads", 2, previous=1), configs=broken))
    await tenants.settled()
    assert (version(tenants), version(tenants, cascade="ads")) == (1, 2)
    (place,) = tenants.problems
    assert place == ("acme", "search", 4)
    assert "/no/such/model" in str(tenants.problems[place])
    await tenants.apply(state(Rollout("search", 3, previous=4), Rollout("ads", 2, previous=1), configs=broken))
    assert (version(tenants), tenants.problems) == (3, {})


async def test_a_canary_or_shadow_that_cannot_be_loaded_is_left_out() -> None:
    rollout = Rollout("search", 1, canary=4, canary_percent=100.0, shadow=5, shadow_percent=100.0)
    tenants = await started(state(rollout, configs=CONFIGS | {4: LOST, 5: LOST}))
    chosen = tenants.get("acme").choose("search", "")
    assert (chosen.version, chosen.canary, chosen.shadow) == (1, False, None)
    assert set(tenants.problems) == {("acme", "search", 4), ("acme", "search", 5)}


async def test_after_a_start_the_version_before_answers_when_the_active_one_cannot_be_loaded() -> None:
    tenants = await started(state(Rollout("search", 4, previous=2), configs=CONFIGS | {4: LOST}))
    assert version(tenants) == 2
    assert set(tenants.problems) == {("acme", "search", 4)}


async def test_without_a_version_before_the_cascade_says_why_it_cannot_be_used_and_the_server_is_well() -> None:
    tenants = await started(state(Rollout("search", 4), Rollout("ads", 1), configs=CONFIGS | {4: LOST}))
    for _ in range(2):
        with pytest.raises(ModelLoadError, match="/no/such/model"):
            tenants.get("acme").choose("search", "")
    assert version(tenants, cascade="ads") == 1
    assert [cascade.config for cascade in tenants.vital if cascade.config == LOST] == []


async def test_a_broken_file_is_the_server_s_trouble() -> None:
    tenants = await started(State(), default={"search": LOST})
    assert [cascade.config for cascade in tenants.vital] == [LOST]


async def test_the_last_version_answers_while_the_next_is_loaded(tiny_cross_encoder: Path) -> None:
    server = Server()
    tenants = await server.started(state(Rollout("search", 1), configs=CONFIGS))
    configs = CONFIGS | {4: reading(tiny_cross_encoder)}
    async with busy(server.models, tiny_cross_encoder):
        await tenants.apply(state(Rollout("search", 4), Rollout("new", 4), Rollout("ads", 2), configs=configs))
        assert (version(tenants), version(tenants, cascade="ads")) == (1, 2)
        with pytest.raises(UnavailableError, match="loading the models of cascade 'new'"):
            tenants.get("acme").choose("new", "")
        assert tenants.problems == {}
    await tenants.settled()
    assert (version(tenants), version(tenants, cascade="new")) == (4, 4)
    await tenants.aclose()
    await server.models.aclose()


async def test_a_version_that_is_wanted_no_longer_never_comes_into_force(tiny_cross_encoder: Path) -> None:
    server = Server()
    tenants = await server.started(state(Rollout("search", 1), configs=CONFIGS))
    async with busy(server.models, tiny_cross_encoder):
        await tenants.apply(state(Rollout("search", 4), configs=CONFIGS | {4: reading(tiny_cross_encoder)}))
        await tenants.apply(state(Rollout("search", 2), configs=CONFIGS))
        assert version(tenants) == 2
    await tenants.settled()
    assert version(tenants) == 2
    await tenants.aclose()
    await server.models.aclose()


async def test_tenants_can_be_closed_while_models_are_loaded(tiny_cross_encoder: Path) -> None:
    server = Server()
    server.tenants.read()
    async with busy(server.models, tiny_cross_encoder):
        await server.tenants.apply(state(Rollout("search", 4), configs={4: reading(tiny_cross_encoder)}))
        await server.tenants.aclose()
    await server.models.aclose()


async def test_models_are_released_when_no_version_needs_them(tiny_cross_encoder: Path) -> None:
    server = Server({})
    model = reading(tiny_cross_encoder)
    tenants = await server.started(state(Rollout("search", 4), configs=CONFIGS | {4: model}))
    chosen = tenants.get("acme").choose("search", "")
    await tenants.apply(state(Rollout("search", 1), configs=CONFIGS))
    gc.collect()
    await server.models.release(unused_for=0.0)
    assert [status.ready for status in server.models.status()] == [True]
    assert chosen.version == 4
    del chosen
    gc.collect()
    await server.models.release(unused_for=0.0)
    assert server.models.status() == []
    await tenants.apply(state(Rollout("search", 4), configs=CONFIGS | {4: model}))
    await tenants.settled()
    assert version(tenants) == 4
    await server.models.aclose()


async def test_what_is_replaced_does_not_stay() -> None:
    tenants = await started(state(Rollout("search", 1), configs=CONFIGS))
    made: list[weakref.ref[object]] = []
    for i in range(20):
        await tenants.apply(state(Rollout("search", 2 + i % 2), configs=CONFIGS))
        made.append(weakref.ref(tenants.get("acme").choose("search", "").cascade))
    gc.collect()
    assert [ref() is not None for ref in made] == [False] * 19 + [True]


async def test_a_reload_tries_again_what_could_not_be_loaded(tiny_cross_encoder: Path, tmp_path: Path) -> None:
    place = tmp_path / "model"
    server = Server()
    tenants = await server.started(state(Rollout("search", 4, previous=1), configs=CONFIGS | {4: reading(place)}))
    assert version(tenants) == 1
    shutil.copytree(tiny_cross_encoder, place)
    server.models.forget_problems()
    await tenants.reload()
    await tenants.settled()
    assert (version(tenants), tenants.problems) == (4, {})
    await server.models.aclose()


async def test_a_trial_tells_whether_models_can_be_loaded_and_puts_right_what_could_not_be(
    tiny_cross_encoder: Path, tmp_path: Path
) -> None:
    place = tmp_path / "model"
    server = Server()
    store = state(Rollout("search", 4, previous=1), configs=CONFIGS | {4: reading(place)})
    tenants = await server.started(store)
    with pytest.raises(ModelLoadError):
        await tenants.try_load(reading(place))
    shutil.copytree(tiny_cross_encoder, place)
    await tenants.try_load(reading(place))
    await tenants.apply(store)
    assert (version(tenants), tenants.problems) == (4, {})
    await server.models.aclose()


async def test_an_endpoint_that_is_away_keeps_a_version_from_being_activated_and_not_from_coming_into_force() -> None:
    with socket.socket() as taken:  # bound and not listening: connections are refused
        taken.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{taken.getsockname()[1]}/v1"
        endpoint = f"{{url: '{address}', model: large, retries: 0}}"
        away = parse(f"retrieve: [{{kind: bm25}}]\ntiers: [{{kind: logits, depth: 5, endpoint: {endpoint}}}]", "test")
        server = Server()
        tenants = await server.started(state(Rollout("search", 4), configs={4: away}))
        assert (version(tenants), tenants.problems) == (4, {})
        with pytest.raises(ModelLoadError, match="trial"):
            await tenants.try_load(away)
        await server.models.aclose()


async def test_what_is_not_allowed_here_does_not_run_here() -> None:
    forbidden: Callable[[CascadeConfig], list[str]] = lambda config: ["not allowed"] if config == TWO else []  # noqa: E731
    tenants = await Server({"acme": {"file": TWO}}, forbidden=forbidden).started(
        state(Rollout("search", 2, previous=1), Rollout("ads", 2), configs=CONFIGS)
    )
    assert (version(tenants), version(tenants, cascade="file")) == (1, 0)
    with pytest.raises(ConfigError, match="cascade 'ads' version 2: not allowed"):
        tenants.get("acme").choose("ads", "")


async def test_a_version_that_this_release_cannot_read_leaves_the_last_good_one() -> None:
    tenants = await started(state(Rollout("search", 1), configs=CONFIGS))
    unreadable = {("acme", "search", 9): "kind: unknown"}
    await tenants.apply(state(Rollout("search", 9, previous=1), configs=CONFIGS, unreadable=unreadable))
    assert version(tenants) == 1
    assert "kind: unknown" in str(tenants.problems["acme", "search", 9])


@pytest.mark.parametrize("name", ["../default", "a/b", "", ".", "Acme", "a" * 64, "a\x00", "con fig", "é"])
async def test_what_is_no_name_is_left_out_even_if_the_store_has_it(name: str) -> None:
    tenants = await started(state(Rollout("search", 1), tenant=name, configs=CONFIGS), default={"search": ONE})
    assert tenants.names == ("default",)
    await tenants.apply(state(Rollout(name, 1), Rollout("ads", 1), configs=CONFIGS))
    assert set(tenants.get("acme").serving) == {"ads"}
    assert len(tenants.problems) == 1


async def test_every_change_over_is_told() -> None:
    server = Server()
    await server.started(State())
    server.changes.clear()
    await server.tenants.apply(state(Rollout("search", 1), configs=CONFIGS))
    assert server.changes == [{"acme", "default"}]
