"""A model in the cache is complete or absent."""

from __future__ import annotations

from pathlib import Path

import pytest

from cascade.weights.cache import ensure, fingerprint


def test_a_model_is_built_once(tmp_path: Path) -> None:
    built: list[Path] = []

    def build(folder: Path) -> None:
        built.append(folder)
        (folder / "weights").write_text("w")

    first = ensure(tmp_path, "model", "1", build)
    second = ensure(tmp_path, "model", "1", build)
    assert first == second
    assert (first / "weights").read_text() == "w"
    assert len(built) == 1


def test_another_version_is_another_folder(tmp_path: Path) -> None:
    old = ensure(tmp_path, "model", "1", lambda folder: None)
    new = ensure(tmp_path, "model", "2", lambda folder: None)
    assert old != new
    assert old.is_dir()


def test_a_build_that_fails_leaves_nothing(tmp_path: Path) -> None:
    def build(folder: Path) -> None:
        (folder / "half").write_text("h")
        raise OSError("no space left")

    with pytest.raises(OSError, match="no space left"):
        ensure(tmp_path, "model", "1", build)
    assert list((tmp_path / "models").iterdir()) == []


def test_a_build_that_another_process_finished_first_is_used(tmp_path: Path) -> None:
    def build(folder: Path) -> None:
        (folder / "weights").write_text("slow")
        fast = folder.parent / "model-1"
        fast.mkdir()
        (fast / "weights").write_text("fast")

    folder = ensure(tmp_path, "model", "1", build)
    assert (folder / "weights").read_text() == "fast"
    assert [path.name for path in folder.parent.iterdir()] == ["model-1"]


def test_a_fingerprint_follows_the_content(tmp_path: Path) -> None:
    file = tmp_path / "weights"
    file.write_bytes(b"one")
    before = fingerprint([file])
    assert fingerprint([file]) == before
    file.write_bytes(b"two")
    assert fingerprint([file]) != before
