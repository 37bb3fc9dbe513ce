"""A run's log becomes a picture."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cascade.train.curves import draw_curve, smoothed


def test_a_curve_shows_loss_and_measures(tmp_path: Path) -> None:
    rows: list[dict[str, float]] = [{"step": step, "loss": 1 / step} for step in range(10, 100, 10)]
    log, bare, full = tmp_path / "log.jsonl", tmp_path / "bare.png", tmp_path / "full.png"
    log.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    draw_curve(log, bare)
    rows += [{"step": 50, "eval_ndcg_at_10": 0.4, "eval_runtime": 9.0}, {"step": 90, "eval_ndcg_at_10": 0.6}]
    log.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    draw_curve(log, full)
    assert bare.read_bytes()[:4] == full.read_bytes()[:4] == b"\x89PNG"
    assert bare.read_bytes() != full.read_bytes()


def test_an_average_begins_at_the_first_value_and_lags_behind() -> None:
    assert smoothed([3.0, 3.0, 3.0]) == pytest.approx([3.0, 3.0, 3.0])
    first, second = smoothed([1.0, 2.0])
    assert first == pytest.approx(1.0)
    assert 1.5 < second < 2.0 - 0.1
