"""Which evaluations the tables of the embedded weights stand on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict, Field


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Task(_Strict):
    """One way of asking about a judged collection; `options` are those of `cascade eval`, {folder} the collection's."""

    title: str
    collection: str
    options: tuple[str, ...] = ()


class Tier(_Strict):
    """A cascade that shows what an embedded model does, a file of this package or a preset, with its stages' titles.

    `options` are added to a task's: an index of its own for another encoder.
    """

    title: str
    cascade: str
    stages: dict[str, str]
    options: tuple[str, ...] = ()


class Plan(_Strict):
    """Every tier is evaluated on every task."""

    tasks: tuple[Task, ...] = Field(min_length=1)
    tiers: tuple[Tier, ...] = Field(min_length=1)


@dataclass(frozen=True, slots=True)
class Evaluation:
    """One run of `cascade eval`: its arguments, and the file that keeps its report."""

    task: Task
    tier: Tier
    arguments: tuple[str, ...]
    report: Path


def load_plan() -> Plan:
    """The plan that ships with the package."""
    return Plan.model_validate(yaml.safe_load(_files().joinpath("plan.yaml").read_text(encoding="utf-8")))


def evaluations(plan: Plan, collections: Path, work: Path) -> Sequence[Evaluation]:
    """Every task with every tier; `work` keeps the reports, and the indexes where a task needs one."""
    return [
        Evaluation(task, tier, _arguments(task, tier, collections, work), work / f"{_name(task)}.{tier.cascade}.json")
        for task in plan.tasks
        for tier in plan.tiers
    ]


def _arguments(task: Task, tier: Tier, collections: Path, work: Path) -> tuple[str, ...]:
    folder = str(collections / task.collection)
    asked = task.collection if task.collection == "reading" else folder
    file = _files() / "cascades" / f"{tier.cascade}.yaml"
    cascade = str(file) if file.is_file() else tier.cascade
    options = [option.replace("{folder}", folder) for option in (*task.options, *tier.options)]
    kept = ("--data-dir", str(work / "data"), "--per-query", "--json")
    return ("eval", "--collection", asked, "--cascade", cascade, *options, *kept)


def _name(task: Task) -> str:
    return "-".join("".join(c if c.isalnum() else " " for c in task.title.lower()).split())


def _files() -> Path:
    return Path(str(resources.files(__package__)))
