"""Draws how a training run went: its loss, and its quality where that was measured meanwhile."""

from __future__ import annotations

import json
from pathlib import Path

_SMOOTHED = 0.9  # share of the past in the thick line


def draw_curve(log: Path, image: Path) -> None:
    """Draws the `loss` of a `log.jsonl` against its steps, and what was measured meanwhile against a second axis."""
    from matplotlib.figure import Figure

    rows = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    losses = [(row["step"], float(row["loss"])) for row in rows if "loss" in row]
    figure = Figure(figsize=(8, 4.5), layout="constrained")
    left = figure.add_subplot()
    if losses:
        steps, values = ([point[axis] for point in losses] for axis in (0, 1))
        left.plot(steps, values, color="tab:blue", alpha=0.3)
        left.plot(steps, smoothed(values), color="tab:blue", label="loss")
    left.set_xlabel("step")
    left.set_ylabel("loss")
    measures = sorted({key for row in rows for key in row if _is_measure(key)})
    if measures:
        right = left.twinx()
        for number, key in enumerate(measures, start=1):
            points = [(row["step"], row[key]) for row in rows if key in row]
            right.plot(*zip(*points, strict=True), marker="o", color=f"C{number}", label=key.removeprefix("eval_"))
        right.set_ylabel(", ".join(key.removeprefix("eval_") for key in measures))
    if losses or measures:
        figure.legend(loc="outside upper right", ncols=1 + len(measures))
    figure.savefig(image, dpi=120)


def _is_measure(key: str) -> bool:
    return key == "reciprocal_rank" or (key.startswith("eval_") and not key.endswith(("_runtime", "_per_second")))


def smoothed(values: list[float]) -> list[float]:
    """The exponential moving average, corrected for its start."""
    averages: list[float] = []
    total = weight = 0.0
    for value in values:
        total = _SMOOTHED * total + (1 - _SMOOTHED) * value
        weight = _SMOOTHED * weight + (1 - _SMOOTHED)
        averages.append(total / weight)
    return averages
