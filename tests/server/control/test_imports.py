"""Folders of cascade files come into the store."""

from __future__ import annotations

from pathlib import Path

import pytest

from cascade.errors import ConfigError
from cascade_server.control.imports import import_folder
from cascade_server.control.store import Store

WORDS = "# as written\nretrieve: [{kind: bm25}]\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two tenants, one of them new to the store."""
    for tenant, cascade in (("default", "words"), ("shop", "words"), ("shop", "more")):
        (tmp_path / "files" / tenant).mkdir(parents=True, exist_ok=True)
        (tmp_path / "files" / tenant / f"{cascade}.yaml").write_text(WORDS)
    return tmp_path / "files"


def test_every_file_is_the_active_version_of_its_cascade(store: Store, folder: Path) -> None:
    imported = import_folder(store, "ann", folder)
    assert [(v.tenant, v.cascade, v.number, new) for v, new in imported] == [
        ("default", "words", 1, True),
        ("shop", "more", 1, True),
        ("shop", "words", 1, True),
    ]
    state = store.state()
    assert set(state.configs) == {("default", "words", 1), ("shop", "more", 1), ("shop", "words", 1)}
    assert store.version("shop", "more").text == WORDS


def test_the_same_files_again_change_nothing(store: Store, folder: Path) -> None:
    import_folder(store, "ann", folder)
    before = store.revision()
    assert [new for _, new in import_folder(store, "bob", folder)] == [False] * 3
    assert store.revision() == before


def test_a_changed_file_is_the_next_version(store: Store, folder: Path) -> None:
    import_folder(store, "ann", folder)
    (folder / "shop" / "words.yaml").write_text("retrieve: [{kind: bm25, depth: 7}]")
    import_folder(store, "ann", folder)
    rollout = store.rollouts("shop")["words"]
    assert (rollout.active, rollout.previous) == (2, 1)


def test_one_bad_file_keeps_all_out(store: Store, folder: Path) -> None:
    (folder / "shop" / "words.yaml").write_text("retrieve: []")
    with pytest.raises(ConfigError, match=r"words\.yaml"):
        import_folder(store, "ann", folder)
    assert store.revision() == 1
