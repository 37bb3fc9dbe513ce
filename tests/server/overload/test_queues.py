"""The models' queues serve as the settings say, and their depth and drops are metrics."""

from __future__ import annotations

from pathlib import Path

import pytest

from cascade_server.app import Server
from cascade_server.metrics.overload import OverloadMetrics
from cascade_server.metrics.registry import Registry
from cascade_server.settings import Settings


@pytest.mark.parametrize("queue", ["fair", "fifo"])
def test_models_serve_as_the_settings_say(queue: str, tmp_path: Path) -> None:
    settings = Settings.model_validate({"port": 0, "metrics_port": None, "data_dir": tmp_path, "queue": queue})
    server = Server(settings, cascades=dict)
    assert server.models.encoder("embedded:all-minilm-l6-v2").queue.load.fair is (queue == "fair")


def test_what_waits_for_a_model_and_what_was_dropped_are_counted() -> None:
    registry = Registry()
    metrics = OverloadMetrics(registry)
    for tokens, dropped in ((100, ""), (70, "standing"), (50, "standing"), (0, "")):
        metrics.queued("m", tokens, dropped)
    assert registry.get_sample_value("cascade_queue_tokens", {"model": "m"}) == 0
    labels = {"model": "m", "reason": "standing"}
    assert registry.get_sample_value("cascade_queue_dropped_total", labels) == 2
