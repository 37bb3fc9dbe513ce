"""Managing tenants, versions and keys from the command line, through a server and on the store itself."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

V1 = "description: words only\nretrieve: [{kind: bm25}]\ntiers: [{kind: identity, name: keep, depth: 2}]\n"
V2 = V1.replace("depth: 2", "depth: 5")


@pytest.fixture(params=["server", "local"])
def where(request: pytest.FixtureRequest, run_json: Callable[..., Any], tmp_path: Path) -> list[str]:
    """The options that say where the control plane is, and that the caller is an operator."""
    if request.param == "local":
        return ["--local", "--data-dir", str(tmp_path / "data")]
    server = ["--target", request.getfixturevalue("own_target")]
    return [*server, "--api-key", run_json("admin", "key", "create", "--role", "admin", *server)["secret"]]


@pytest.fixture
def put(run_json: Callable[..., Any], where: list[str], tmp_path: Path) -> Callable[[str], Any]:
    """Puts a text as a version of the cascade `search` of tenant `acme`."""
    run_json("admin", "tenant", "create", "acme", *where)

    def call(text: str) -> Any:
        path = tmp_path / "search.yaml"
        path.write_text(text)
        return run_json("admin", "cascade", "put", "search", path, "--tenant", "acme", *where)

    return call


def test_a_tenant_lives_from_create_to_delete(
    run: Callable[..., Any], run_json: Callable[..., Any], where: list[str]
) -> None:
    made = run_json("admin", "tenant", "create", "acme", "--tokens-per-second", 1000, "--priority", "high", *where)
    assert (made["name"], made["quota"]["tokens_per_second"], made["quota"]["priority"]) == ("acme", 1000, "high")
    again = run("admin", "tenant", "create", "acme", *where, "--json")
    assert (again.exit_code, json.loads(again.stderr)["error"]["code"]) == (2, "ALREADY_EXISTS")
    assert "tokens_per_second 1,000, priority high" in run("admin", "tenant", "list", *where).stdout
    run_json("admin", "tenant", "delete", "acme", "--yes", *where)
    assert [t["name"] for t in run_json("admin", "tenant", "list", *where)["tenants"]] == ["default"]


def test_what_is_not_given_of_a_quota_stays_and_0_is_no_limit(
    run: Callable[..., Any], run_json: Callable[..., Any], where: list[str]
) -> None:
    run_json("admin", "tenant", "create", "acme", "--max-depth", 50, "--max-documents", 20, *where)
    now = run_json("admin", "tenant", "quota", "acme", "--max-depth", 0, "--weight", 2, *where)["quota"]
    assert (now["max_depth"], now["max_documents"], now["weight"]) == (None, 20, 2.0)
    assert run_json("admin", "tenant", "quota", "acme", *where)["quota"] == now
    assert run("admin", "tenant", "quota", "nobody", *where).exit_code == 2
    assert run("admin", "tenant", "quota", "acme", "--priority", "urgent", *where).exit_code == 2


def test_a_tenant_is_not_deleted_unless_that_is_confirmed(
    run: Callable[..., Any], run_json: Callable[..., Any], where: list[str]
) -> None:
    run_json("admin", "tenant", "create", "acme", *where)
    assert run("admin", "tenant", "delete", "acme", *where, stdin=b"n\n").exit_code == 1
    assert len(run_json("admin", "tenant", "list", *where)["tenants"]) == 2


def test_versions_are_put_listed_shown_and_compared(
    run: Callable[..., Any], run_json: Callable[..., Any], where: list[str], put: Callable[[str], Any]
) -> None:
    of = ("--tenant", "acme", *where)
    assert put(V1)["created"]
    assert not put("# the same\n" + V1)["created"]
    assert put(V2)["version"]["version"] == 2
    found = run_json("admin", "cascade", "list", *of)
    assert [v["version"] for v in found["versions"]] == [2, 1]
    assert run("admin", "cascade", "show", "search", "--version", 1, *of).stdout == V1
    difference = run("admin", "cascade", "diff", "search", "--from", 1, *of).stdout
    assert "-tiers: [{kind: identity, name: keep, depth: 2}]" in difference
    assert difference.endswith("tiers.0.depth: 2 -> 5\n")


def test_a_version_is_rolled_out_step_by_step(
    run: Callable[..., Any], run_json: Callable[..., Any], where: list[str], put: Callable[[str], Any]
) -> None:
    of = ("--tenant", "acme", *where)
    for text in (V1, V2):
        put(text)
    assert run("admin", "cascade", "activate", "search", 1, *of).stdout == "search: version 1 is active\n"
    canary = run_json("admin", "cascade", "canary", "search", 2, "--percent", 10, *of)
    assert (canary["canary"], canary["canary_percent"]) == (2, 10.0)
    assert "canary 10 %" in run("admin", "cascade", "list", *of).stdout
    shadow = run("admin", "cascade", "shadow", "search", 2, "--percent", 50, *of).stdout
    assert shadow == "search: version 1 is active, canary version 2 at 10 %, shadow version 2 at 50 %\n"
    assert run_json("admin", "cascade", "shadow", "search", "--off", *of)["shadow"] is None
    promoted = run_json("admin", "cascade", "promote", "search", *of)
    assert (promoted["active"], promoted["previous"], promoted["canary"]) == (2, 1, None)
    nothing = run("admin", "cascade", "promote", "search", *of, "--json")
    assert (nothing.exit_code, json.loads(nothing.stderr)["error"]["code"]) == (1, "FAILED_PRECONDITION")
    assert run_json("admin", "cascade", "rollback", "search", *of)["active"] == 1
    run_json("admin", "cascade", "deactivate", "search", *of)
    assert run_json("admin", "cascade", "list", *of)["rollouts"] == {}


@pytest.mark.parametrize("share", [[], [2], [2, "--off"], ["--off", "--percent", 5], ["--percent", 5]])
def test_a_share_is_a_version_with_its_percentage_or_an_end(run: Callable[..., Any], share: list[object]) -> None:
    assert run("admin", "cascade", "canary", "search", *share, "--target", "localhost:1").exit_code == 2


def test_files_are_checked_by_the_rules_of_the_server(
    run: Callable[..., Any], run_json: Callable[..., Any], where: list[str], tmp_path: Path
) -> None:
    good, sly = tmp_path / "good.yaml", tmp_path / "sly.yaml"
    good.write_text(V1)
    sly.write_text(V1.replace("kind: identity, name: keep", "kind: cross_encoder, model: /etc"))
    assert run_json("admin", "cascade", "validate", good, *where)["files"][0]["valid"]
    result = run("admin", "cascade", "validate", good, sly, *where, "--json")
    assert result.exit_code == 2
    files = json.loads(result.stdout)["files"]
    assert [file["valid"] for file in files] == [True, False]
    assert "model_roots" in files[1]["problems"][0]
    refused = run("admin", "cascade", "put", "sly", sly, *where, "--json")
    assert (refused.exit_code, "model_roots" in refused.stderr) == (2 if "--local" in where else 1, True)


def test_a_key_is_shown_once_and_listed_until_after_its_end(
    run: Callable[..., Any], run_json: Callable[..., Any], where: list[str], put: Callable[[str], Any]
) -> None:
    result = run("admin", "key", "create", "--role", "reader", "--tenant", "acme", "--days", 30, *where)
    secret = result.stdout.strip()
    assert secret.startswith("csk_")
    people = run("admin", "key", "list", "--tenant", "acme", *where).stdout
    assert "in force" in people
    assert secret not in people
    (key,) = run_json("admin", "key", "list", "--tenant", "acme", *where)["keys"]
    assert (key["tenant"], key["role"], key["revoked_at"]) == ("acme", "reader", None)
    assert key["key_id"] in result.stderr
    assert run("admin", "key", "revoke", key["key_id"], *where).stdout == f"key {key['key_id']} is revoked\n"
    (ended,) = run_json("admin", "key", "list", "--tenant", "acme", *where)["keys"]
    assert ended["revoked_at"] is not None
    assert "revoked" in run("admin", "key", "list", "--tenant", "acme", *where).stdout


def test_changes_and_usage_are_listed(
    run: Callable[..., Any], run_json: Callable[..., Any], where: list[str], put: Callable[[str], Any]
) -> None:
    put(V1)
    run_json("admin", "cascade", "activate", "search", 1, "--tenant", "acme", *where)
    entries = run_json("admin", "audit", "--tenant", "acme", *where)["entries"]
    assert [entry["action"] for entry in entries] == ["activate_cascade", "put_cascade", "create_tenant"]
    lines = run("admin", "audit", "--tenant", "acme", "--limit", 1, *where).stdout.splitlines()
    assert [line.endswith("activate_cascade acme search: active 1") for line in lines] == [True]
    if "--local" in where:
        assert entries[0]["actor"].startswith("local:")
    assert run_json("admin", "usage", *where) == {"usage": []}
    assert "requests" in run("admin", "usage", *where).stdout


def test_what_a_tenant_wrote_passes_for_no_line_of_the_log_and_does_not_speak_to_the_terminal(
    run: Callable[..., Any], where: list[str], put: Callable[[str], Any]
) -> None:
    put(V1.replace("words only", r'"words\n9  2026-01-01 00:00:00  me  revoke_key\e[1A\x9b2K"'))
    of = ("--tenant", "acme", *where)
    log = run("admin", "audit", "--limit", 1, *of).stdout
    assert len(log.splitlines()) == 1
    assert r"words 9 2026-01-01 00:00:00 me revoke_key\x1b[1A\x9b2K" in log
    put(V2)
    for shown in (
        log,
        run("admin", "cascade", "list", *of).stdout,
        run("admin", "cascade", "diff", "search", "--from", 1, *of).stdout,
    ):
        assert not {"\x1b", "\x9b"} & set(shown)


def test_a_folder_is_imported_whole_or_not_at_all(
    run: Callable[..., Any], run_json: Callable[..., Any], where: list[str], tmp_path: Path
) -> None:
    folder = tmp_path / "folder"
    for tenant, name in (("acme", "search"), ("acme", "shop"), ("default", "words")):
        (folder / tenant).mkdir(parents=True, exist_ok=True)
        (folder / tenant / f"{name}.yaml").write_text(V1)
    sly = folder / "acme" / "sly.yaml"
    sly.write_text(V1.replace("kind: identity, name: keep", "kind: cross_encoder, model: /etc"))
    assert run("admin", "import", folder, *where).exit_code == 2
    assert [t["name"] for t in run_json("admin", "tenant", "list", *where)["tenants"]] == ["default"]
    sly.unlink()
    made = run_json("admin", "import", folder, *where)["imported"]
    assert [(m["tenant"], m["cascade"], m["version"], m["created"]) for m in made] == [
        ("acme", "search", 1, True),
        ("acme", "shop", 1, True),
        ("default", "words", 1, True),
    ]
    assert "as before" in run("admin", "import", folder, *where).stdout
    served = {t["name"]: list(t["rollouts"]) for t in run_json("admin", "tenant", "list", *where)["tenants"]}
    assert served == {"acme": ["search", "shop"], "default": ["words"]}


def test_a_version_may_be_put_from_standard_input(run_json: Callable[..., Any], where: list[str]) -> None:
    made = run_json("admin", "cascade", "put", "words", "-", "--tenant", "default", *where, stdin=V1.encode())
    assert made["version"]["description"] == "words only"


def test_every_violation_is_reported(run: Callable[..., Any], where: list[str]) -> None:
    result = run("admin", "cascade", "activate", "NO", 1, "--tenant", "NEITHER", *where, "--json")
    assert result.exit_code == 2
    assert [v["field"] for v in json.loads(result.stderr)["error"]["violations"]] == ["tenant", "cascade"]


def test_a_key_of_the_environment_is_used(
    run: Callable[..., Any], run_json: Callable[..., Any], own_target: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    where = ["--target", own_target]
    secret = run_json("admin", "key", "create", "--role", "admin", *where)["secret"]
    refused = run("admin", "tenant", "list", *where, "--json")
    assert (refused.exit_code, json.loads(refused.stderr)["error"]["code"]) == (1, "UNAUTHENTICATED")
    monkeypatch.setenv("CASCADE_API_KEY", secret)
    monkeypatch.setenv("CASCADE_TARGET", own_target)
    assert run("admin", "tenant", "list").exit_code == 0
    assert run("info").exit_code == 0
    assert run("index", "list").exit_code == 0
    assert run("rank", "fox", "--document", "a fox", "--cascade", "words").exit_code == 0


def test_a_secret_goes_to_no_other_machine_without_tls(run: Callable[..., Any]) -> None:
    result = run("admin", "tenant", "list", "--target", "example.org:50051", "--api-key", "csk_a_b")
    assert result.exit_code == 2
    assert "unencrypted" in " ".join(result.stderr.split())
    assert "csk_a_b" not in result.stderr


def test_a_store_is_named_only_where_it_is_worked_on(run: Callable[..., Any], tmp_path: Path) -> None:
    assert run("admin", "tenant", "list", "--data-dir", tmp_path, "--target", "localhost:1").exit_code == 2


def test_a_store_that_cannot_be_used_is_said(run: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    url = f"sqlite:///{tmp_path}/file/control.db"
    result = run("admin", "tenant", "list", "--local", "--store-url", url, "--json")
    assert result.exit_code == 1
    assert json.loads(result.stderr)["error"]["code"] == "UNAVAILABLE"
