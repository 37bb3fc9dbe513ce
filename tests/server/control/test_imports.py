"""Folders of cascade files are read as they were written."""

from __future__ import annotations

from pathlib import Path

import pytest

from cascade.errors import ConfigError
from cascade_server.control.imports import read_texts

WORDS = "# as written, with a comment\nretrieve: [{kind: bm25}]\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Cascades of two tenants."""
    for tenant, cascade in (("default", "words"), ("shop", "words"), ("shop", "more")):
        (tmp_path / tenant).mkdir(exist_ok=True)
        (tmp_path / tenant / f"{cascade}.yaml").write_text(WORDS)
    return tmp_path


def test_every_cascade_is_read_as_it_was_written(folder: Path) -> None:
    assert read_texts(folder) == {"default": {"words": WORDS}, "shop": {"more": WORDS, "words": WORDS}}


def test_one_bad_file_keeps_all_out(folder: Path) -> None:
    (folder / "shop" / "words.yaml").write_text("retrieve: []")
    with pytest.raises(ConfigError, match=r"words\.yaml"):
        read_texts(folder)


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="missing"):
        read_texts(tmp_path / "missing")
