"""What an answer took by itself does not depend on what else the server did."""

from __future__ import annotations

import pytest

from cascade.config import parse
from cascade.trace import StageStatus, StageTrace
from cascade_server.rollout.work import work_seconds

CONFIG = parse("retrieve: [{kind: bm25}, {kind: dense}]\ntiers: [{kind: cross_encoder, depth: 5}]", "test")


def stage(name: str, run_time: float, queue_time: float = 0.0) -> StageTrace:
    return StageTrace(name, "kind", StageStatus.COMPLETED, run_time=run_time, queue_time=queue_time)


def test_waits_do_not_count_and_retrievers_run_side_by_side() -> None:
    trace = [stage("bm25", 0.2), stage("dense", 5.0, 4.9), stage("fuse", 0.01), stage("cross_encoder", 3.0, 2.0)]
    assert work_seconds(CONFIG, trace) == pytest.approx(0.2 + 0.01 + 1.0)


def test_an_answer_without_stages_took_nothing() -> None:
    assert work_seconds(CONFIG, []) == 0.0
