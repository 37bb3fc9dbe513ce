"""Draws how a training run went: its loss, and its quality where that was measured meanwhile."""

from __future__ import annotations

import json
from pathlib import Path

_SMOOTHED = 0.9  # share of the past in the thick line


def draw_curve(log: Path, image: Path) -> None:
    """Draws the `loss` of a `log.jsonl` against its steps, and each `eval_` measure against an axis of its own."""
    from matplotlib.figure import Figure

    rows = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    steps, losses = [r["step"] for r in rows if "loss" in r], [float(r["loss"]) for r in rows if "loss" in r]
    figure = Figure(figsize=(8, 4.5), layout="constrained")
    left = figure.add_subplot()
    left.plot(steps, losses, color="tab:blue", alpha=0.3)
    left.plot(steps, smoothed(losses), color="tab:blue", label="loss")
    left.set_xlabel("step")
    left.set_ylabel("loss")
    measures = sorted({key for row in rows for key in row if key.startswith("eval_") and "_per_second" not in key})
    measures = [key for key in measures if not key.endswith("_runtime")]
    if measures:
        right = left.twinx()
        for key in measures:
            points = [(row["step"], row[key]) for row in rows if key in row]
            right.plot(*zip(*points, strict=True), marker="o", color="tab:orange", label=key.removeprefix("eval_"))
        right.set_ylabel(", ".join(key.removeprefix("eval_") for key in measures))
    figure.legend(loc="upper right", bbox_to_anchor=(0.95, 0.95))
    figure.savefig(image, dpi=120)


def smoothed(values: list[float]) -> list[float]:
    """The exponential moving average, corrected for its start."""
    averages: list[float] = []
    total = weight = 0.0
    for value in values:
        total = _SMOOTHED * total + (1 - _SMOOTHED) * value
        weight = _SMOOTHED * weight + (1 - _SMOOTHED)
        averages.append(total / weight)
    return averages
