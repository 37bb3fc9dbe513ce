"""How many threads libraries compute with."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from cascade_server.threads import cores, limit

ALLOWED = len(os.sched_getaffinity(0))


@pytest.mark.parametrize(
    ("quota", "expected"), [("max 100000", ALLOWED), ("50000 100000", 1), ("100000000 100000", ALLOWED)]
)
def test_there_are_no_more_cores_than_the_containers_quota(tmp_path: Path, quota: str, expected: int) -> None:
    (tmp_path / "cpu.max").write_text(quota)
    assert cores(tmp_path) == expected


def test_the_quota_of_an_older_container_counts_too(tmp_path: Path) -> None:
    (tmp_path / "cpu").mkdir()
    (tmp_path / "cpu" / "cpu.cfs_quota_us").write_text("20000")
    (tmp_path / "cpu" / "cpu.cfs_period_us").write_text("100000")
    assert cores(tmp_path) == 1


def test_without_a_quota_there_are_the_cores_that_the_process_may_run_on(tmp_path: Path) -> None:
    assert cores(tmp_path) == ALLOWED


def test_every_library_is_told_the_same() -> None:
    environment = {"OMP_NUM_THREADS": "7"}
    limit(environment, 3)
    assert set(environment.values()) == {"3"}
    assert {"OMP_NUM_THREADS", "RAYON_NUM_THREADS", "NUMBA_NUM_THREADS"} < environment.keys()


def test_what_the_operator_said_of_one_library_holds_where_nothing_is_said_of_all() -> None:
    environment = {"OMP_NUM_THREADS": "7"}
    limit(environment, None)
    assert environment["OMP_NUM_THREADS"] == "7"
    assert environment["RAYON_NUM_THREADS"] == str(cores())
