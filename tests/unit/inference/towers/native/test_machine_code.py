"""Kernels are kept on disk until a source changes that they may be made of."""

import importlib
import sys
from pathlib import Path
from typing import Any

import pytest
import structlog

from cascade.inference.towers.native.machine_code import kernel

_PIECE = """
from cascade.inference.towers.native.machine_code import inlined

@inlined
def more(x):
    return x + {more}
"""
_KERNEL = """
from cascade.inference.towers.native.machine_code import kernel
from piece_of_a_kernel import more

@kernel
def twice_more(x):
    return more(more(x))
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "kernel_of_pieces.py").write_text(_KERNEL)
    (tmp_path / "piece_of_a_kernel.py").write_text(_PIECE.format(more=1))
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


def _in_a_new_process() -> Any:
    """The kernel, with nothing known of it but what is on disk."""
    for name in ("kernel_of_pieces", "piece_of_a_kernel"):
        sys.modules.pop(name, None)
    importlib.invalidate_caches()
    return importlib.import_module("kernel_of_pieces").twice_more


@pytest.mark.usefixtures("folder")
def test_code_is_read_from_the_disk_where_it_was_left() -> None:
    assert _in_a_new_process()(1) == 3

    again = _in_a_new_process()

    assert again(1) == 3
    assert (sum(again.stats.cache_hits.values()), sum(again.stats.cache_misses.values())) == (1, 0)


def test_a_kernel_is_compiled_again_when_a_piece_of_another_file_has_changed(folder: Path) -> None:
    assert _in_a_new_process()(1) == 3

    (folder / "piece_of_a_kernel.py").write_text(_PIECE.format(more=100))

    assert _in_a_new_process()(1) == 201


def test_a_kernel_is_compiled_again_when_a_piece_of_the_tower_has_changed(
    folder: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    tower = tmp_path_factory.mktemp("tower")
    monkeypatch.setattr("cascade.inference.towers.native.machine_code._HERE", tower)
    assert _in_a_new_process()(1) == 3

    (tower / "elementary.py").write_text("new = True")

    again = _in_a_new_process()
    assert again(1) == 3
    assert sum(again.stats.cache_hits.values()) == 0


def test_a_kernel_that_can_be_kept_nowhere_is_compiled_all_the_same() -> None:
    of_no_file: dict[str, Any] = {}
    exec("def twice(x):\n    return 2 * x", of_no_file)

    with structlog.testing.capture_logs() as logs:
        twice = kernel(of_no_file["twice"])

    assert twice(21) == 42
    assert [line["event"] for line in logs] == ["compiled_code_not_kept"]
