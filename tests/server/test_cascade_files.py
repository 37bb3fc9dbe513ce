"""The folder of cascade files is read whole, and everything wrong with it is said at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from cascade import presets
from cascade.config import parse
from cascade.errors import ConfigError
from cascade_server.cascade_files import read_cascades

GOOD = "retrieve: [{kind: bm25}]"


def write(folder: Path, **files: str) -> Path:
    for name, text in files.items():
        path = folder / name.replace("__", "/")
        path = path.with_name(f"{path.name}.yaml")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def test_without_a_folder_the_default_tenant_has_the_presets() -> None:
    found = read_cascades(None, presets.load_all())
    assert {tenant: sorted(cascades) for tenant, cascades in found.items()} == {
        "default": ["fast", "quality", "rerank"]
    }


def test_a_folder_is_a_tenant_and_a_file_a_cascade(tmp_path: Path) -> None:
    found = read_cascades(write(tmp_path, acme__one=GOOD, acme__two=GOOD, default__mine=GOOD), presets.load_all())
    assert sorted(found["acme"]) == ["one", "two"]
    assert sorted(found["default"]) == ["fast", "mine", "quality", "rerank"]


def test_a_file_replaces_the_preset_of_its_name(tmp_path: Path) -> None:
    found = read_cascades(write(tmp_path, default__fast=GOOD), presets.load_all())
    assert found["default"]["fast"] == parse(GOOD, "fast")


def test_hidden_files_and_notes_are_passed_over(tmp_path: Path) -> None:
    write(tmp_path, acme__one=GOOD)
    (tmp_path / "README.md").write_text("notes")
    (tmp_path / "acme" / ".one.yaml.swp").write_text("\0")
    (tmp_path / "..data").mkdir()
    assert list(read_cascades(tmp_path, {})) == ["default", "acme"]


def test_every_problem_of_every_file_is_named(tmp_path: Path) -> None:
    write(
        tmp_path,
        stray=GOOD,
        acme__typo="retreive: [{kind: bm25}]",
        acme__wide="retrieve: [{kind: bm25}]\ntiers: [{kind: identity, depth: 200}]",
        beta__torn="retrieve: [",
        beta__Upper=GOOD,
        **{"bad name__one": GOOD},
    )
    (tmp_path / "beta" / "short.yml").write_text(GOOD)
    with pytest.raises(ConfigError) as caught:
        read_cascades(tmp_path, {})
    problems = "\n".join(caught.value.problems).replace(str(tmp_path), "")
    for expected in (
        "/stray.yaml: is outside every tenant's folder; move it to /default/stray.yaml",
        "/acme/typo.yaml: retreive: unknown key; check its spelling or remove it",
        "/acme/typo.yaml: retrieve: Field required",
        "a cascade narrows; lower it to 100 or less",
        "/beta/torn.yaml: not valid YAML",
        "/beta/Upper.yaml: the name 'Upper' cannot be used",
        "/bad name: the name 'bad name' cannot be used",
        "/beta/short.yml: would not be read; rename it to short.yaml",
    ):
        assert expected in problems
    assert len(caught.value.problems) == 8


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is not a folder; make it"):
        read_cascades(tmp_path / "nowhere", {})
