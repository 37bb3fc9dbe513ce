"""What an answer took by itself, however busy the server was: the figure by which versions are compared."""

from __future__ import annotations

from collections.abc import Iterable

from cascade.config import CascadeConfig
from cascade.trace import StageTrace


def work_seconds(config: CascadeConfig, trace: Iterable[StageTrace]) -> float:
    """Seconds from the first stage to the last without the waits for models; retrievers run side by side."""
    side_by_side = {retriever.name for retriever in config.retrieve}
    seconds = [(t.stage in side_by_side, max(0.0, t.run_time - t.queue_time)) for t in trace]
    retrieving = max((took for retrieves, took in seconds if retrieves), default=0.0)
    return retrieving + sum(took for retrieves, took in seconds if not retrieves)
