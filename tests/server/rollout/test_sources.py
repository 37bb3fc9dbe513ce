"""A cascade in the store names only what the operator allows, however it is spelt."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cascade import presets
from cascade.config import CascadeConfig
from cascade_server.rollout.sources import check_sources
from cascade_server.settings import Settings

URLS = ("https://good.example", "http://models.internal:8000/team", "http://[::1]:9000/")


def settings(**allowed: Any) -> Settings:
    return Settings(**{"endpoint_urls": URLS} | allowed)


def tier(**fields: Any) -> CascadeConfig:
    return CascadeConfig.model_validate({"retrieve": [{"kind": "bm25"}], "tiers": [{"depth": 5} | fields]})


def model(reference: str) -> CascadeConfig:
    return tier(kind="cross_encoder", model=reference)


def endpoint(url: str, **fields: Any) -> CascadeConfig:
    return tier(kind="logits", endpoint={"url": url, "model": "large"} | fields)


def test_presets_may_be_put_into_the_store() -> None:
    for config in presets.load_all().values():
        assert check_sources(config, settings()) == []


@pytest.mark.parametrize("backend", ["torch-compiled", "openvino-bf16", "openvino-int8", "onnx-int8"])
def test_what_compiles_or_converts_a_model_is_for_the_operator_to_allow(backend: str) -> None:
    config = tier(kind="cross_encoder", backend=backend)
    (problem,) = check_sources(config, settings())
    assert problem.startswith(f"stage 'cross_encoder': found backend '{backend}', expected auto or one that")
    assert "backends allows (torch-fp32, torch-bf16, native-int8)" in problem
    assert check_sources(config, settings(backends=(backend,))) == []


def test_a_retrievers_backend_is_checked_too() -> None:
    dense = {"kind": "dense", "backend": "openvino-int8"}
    assert len(check_sources(CascadeConfig.model_validate({"retrieve": [dense]}), settings())) == 1


@pytest.mark.parametrize("backend", ["auto", "torch-fp32", "torch-bf16", "native-int8"])
def test_backends_that_are_made_at_once_may_be_named(backend: str) -> None:
    assert check_sources(tier(kind="cross_encoder", backend=backend), settings()) == []


def test_a_folder_is_allowed_below_a_root_only(tmp_path: Path) -> None:
    (tmp_path / "models" / "mine").mkdir(parents=True)
    (tmp_path / "models-of-others").mkdir()
    allowed = settings(model_roots=(tmp_path / "models",))
    assert check_sources(model(f"{tmp_path}/models/mine"), allowed) == []
    for refused in (
        "models-of-others",
        "models",
        "models/../models-of-others",
        "models/mine/../../secret",
        "elsewhere",
    ):
        (problem,) = check_sources(model(f"{tmp_path}/{refused}"), allowed)
        assert "stage 'cross_encoder': found model" in problem
        assert "model_roots" in problem


def test_a_link_counts_for_where_it_leads(tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    (tmp_path / "secret").mkdir()
    (tmp_path / "models" / "out").symlink_to(tmp_path / "secret")
    (tmp_path / "models" / "circle").symlink_to(tmp_path / "models" / "circle")
    (tmp_path / "root").symlink_to(tmp_path / "models")
    (tmp_path / "models" / "mine").mkdir()
    allowed = settings(model_roots=(tmp_path / "root",))
    assert check_sources(model(f"{tmp_path}/models/mine"), allowed) == []
    assert check_sources(model(f"{tmp_path}/root/mine"), allowed) == []
    assert check_sources(model(f"{tmp_path}/models/out"), allowed)
    assert check_sources(model(f"{tmp_path}/models/circle"), allowed)


@pytest.mark.parametrize(
    "reference",
    [
        *("~/models", "./models", "../models", "a/../../etc", "a//b", "a/b/c", "-flag", "a b", "..", "a/.."),
        *("file:///etc/passwd", "https://evil.example/model", "a\x00b", "\\\\host\\share"),
        *("embedded:../x", "EMBEDDED:x", "embedded:x/y"),
    ],
)
def test_what_is_neither_embedded_nor_a_hub_id_is_refused_even_where_all_hub_ids_are_allowed(reference: str) -> None:
    assert check_sources(model(reference), settings(hub_models=("*",)))


def test_hub_ids_are_allowed_by_pattern() -> None:
    allowed = settings(hub_models=("BAAI/*", "org/one"))
    assert check_sources(model("BAAI/bge-reranker"), allowed) == []
    assert check_sources(model("org/one"), allowed) == []
    for refused in ("org/two", "baai/bge", "evil/BAAI", "BAAI"):
        (problem,) = check_sources(model(refused), allowed)
        assert "expected one that the setting hub_models allows (BAAI/*, org/one)" in problem


@pytest.mark.parametrize(
    "url",
    [
        *("https://good.example", "https://good.example/v1", "https://good.example:443/v1", "https://GOOD.example/v1"),
        *("http://models.internal:8000/team", "http://models.internal:8000/team/v1", "http://[::1]:9000/v1"),
    ],
)
def test_an_address_is_allowed_by_its_beginning(url: str) -> None:
    assert check_sources(endpoint(url), settings()) == []


@pytest.mark.parametrize(
    "url",
    [
        "https://good.example.evil.com/v1",
        "https://good.example@evil.com/v1",
        "https://user:pass@good.example/v1",
        "https://good.example:8443/v1",
        "http://good.example/v1",
        "https://evil.com/https://good.example/v1",
        "https://evil.com\\@good.example/v1",
        "https://good.example%2eevil.com/v1",
        "https://good.example%00.evil.com/v1",
        "https://good.example/v1?next=https://evil.com",
        "https://good.example/v1#@evil.com",
        "https://good.example./v1",
        "https://good.example\uff0fevil.com/v1",
        "https://g\u043eod.example/v1",
        "http://models.internal:8000/teams/v1",
        "http://models.internal:8000/team/../admin",
        "http://models.internal:8000/team/./v1",
        "http://models.internal:8000/team/%2e%2e/admin",
        "http://models.internal:8000/team//v1",
        "http://models.internal:8000/",
        "http://models.internal/team/v1",
        "http://models.internal:08000x/team",
        "http://[::1]:9001/v1",
        "http://[::1/v1",
        "http://169.254.169.254/latest",
        "https:///v1",
    ],
)
def test_an_address_that_only_looks_allowed_is_refused(url: str) -> None:
    (problem,) = check_sources(endpoint(url), settings())
    assert "endpoint_urls" in problem
    assert "pass" not in problem


def test_by_default_no_address_is_allowed() -> None:
    assert check_sources(endpoint("https://good.example/v1"), Settings())


def test_with_an_endpoint_the_local_model_is_not_used_and_not_checked() -> None:
    assert (
        check_sources(
            tier(kind="logits", model="/etc", endpoint={"url": "https://good.example/v1", "model": "large"}), settings()
        )
        == []
    )


def test_a_joint_tier_s_model_is_checked_beside_its_endpoint() -> None:
    found = {"kind": "joint", "model": "/etc", "endpoint": {"url": "https://good.example/v1", "model": "large"}}
    (problem,) = check_sources(tier(**found), settings())
    assert "found model '/etc'" in problem
    (problem,) = check_sources(tier(**found | {"model": "embedded:listwise"}), Settings())
    assert "endpoint_urls" in problem


def test_a_key_file_is_allowed_below_a_root_only(tmp_path: Path) -> None:
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys" / "out").symlink_to("/etc/passwd")
    allowed = settings(secret_roots=(tmp_path / "keys",))
    url = "https://good.example/v1"
    assert check_sources(endpoint(url, api_key_file=f"{tmp_path}/keys/one"), allowed) == []
    for refused in ("/etc/passwd", f"{tmp_path}/keys/out", f"{tmp_path}/keys/../other", "~/.ssh/id_rsa", "keys/one"):
        (problem,) = check_sources(endpoint(url, api_key_file=refused), allowed)
        assert "secret_roots" in problem


def test_every_problem_is_told() -> None:
    config = CascadeConfig.model_validate(
        {
            "retrieve": [{"kind": "dense", "model": "/a"}],
            "tiers": [{"kind": "cross_encoder", "depth": 5, "model": "org/b"}],
        }
    )
    first, second = check_sources(config, settings())
    assert "stage 'dense'" in first
    assert "stage 'cross_encoder'" in second
