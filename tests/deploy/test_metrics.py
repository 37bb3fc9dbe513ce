"""Dashboard, rules and alerts ask for metrics, labels, codes and reasons that the server has."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from types import ModuleType

import grpc
import pytest
import yaml

from cascade.config import parse
from cascade.inference.caches import Caches
from cascade.trace import Reason, StageStatus, StageTrace
from cascade_server.access.refusals import Refusal
from cascade_server.control.state import Quota, Rollout
from cascade_server.metrics import Metrics

METRIC = re.compile(r"(?<![\w:])(cascade_\w+)(?![\w:])(?:\{([^}]*)\})?")
MATCHER = re.compile(r'(\w+)\s*(?:=~|!~|!=|=)\s*"([^"]*)"')
GROUPING = re.compile(r"\b(?:by|on|without|ignoring) \(([^)]*)\)")
_DEGRADED = ("cascade_degraded_total", "reason")
RECORDED = re.compile(r"\w+:\w+:\w+")


@pytest.fixture(scope="module")
def exported() -> dict[str, set[str]]:
    """The labels of every series that a server exports after a request, a batch and an upsert."""
    metrics = Metrics()
    trace = StageTrace(
        "bm25", "bm25", StageStatus.TIMED_OUT, Reason.OVERRAN, candidates_in=9, candidates_out=3, truncated=1, cost=0.5
    )
    metrics.configured({"default": {"fast": [parse("retrieve: [{kind: bm25}]", "fast")]}})
    metrics.ranked("default", "fast", "OK", 0.1)
    metrics.stages("default", "fast", [trace])
    metrics.batch("embedded:all-minilm-l6-v2", 4, 100)
    metrics.indexes.set("default", "docs", 9)
    metrics.refused("default", "overloaded")
    metrics.held_back("default", "expected_late")
    metrics.tenants.may_use("default", Quota(tokens_per_second=5.0))
    metrics.overload.queued("embedded:all-minilm-l6-v2", 100, "full")
    metrics.overload.limited("embedded:all-minilm-l6-v2", 1000.0)
    metrics.overload.quotas_shared(True)
    metrics.rollouts.rolled_out("default", Rollout("fast", active=1))
    metrics.rollouts.answered("default", "fast", "active", 0.1, False, [trace])
    metrics.rollouts.compared("default", "fast", 1.0, 1.0)
    metrics.rollouts.lost("default", "fast", "full")
    metrics.rollouts.unusable({("default", "fast"): 1})
    metrics.caches.watch(Caches(1000))
    metrics.store.watch("sqlite", lambda: None, lambda: 7, lambda: 0)
    samples = [sample for family in metrics.registry.collect() for sample in family.samples]
    # Prometheus adds where it found them.
    return {sample.name: {*sample.labels, "instance", "job"} for sample in samples}


@pytest.fixture(scope="module")
def rules(deploy: Path) -> list[dict[str, str]]:
    groups = yaml.safe_load((deploy / "prometheus" / "rules.yml").read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


@pytest.fixture(scope="module")
def expressions(dashboard: ModuleType, rules: list[dict[str, str]]) -> list[str]:
    """Every PromQL expression of the dashboard, its variables and the rules."""
    board = json.loads(dashboard.render())
    panels = [target["expr"] for panel in board["panels"] for target in panel.get("targets", [])]
    variables = [v["query"] for v in board["templating"]["list"] if v["type"] == "query"]
    return [*panels, *variables, *(rule["expr"] for rule in rules)]


def matchers(expressions: list[str]) -> Iterator[tuple[str, str, str]]:
    """Metric, label and value of every label matcher."""
    for expression in expressions:
        for metric, selector in METRIC.findall(expression):
            for label, value in MATCHER.findall(selector):
                yield metric, label, value


def test_every_metric_that_is_asked_for_is_exported(expressions: list[str], exported: dict[str, set[str]]) -> None:
    asked = {metric for expression in expressions for metric, _ in METRIC.findall(expression)}
    assert len(asked) > 10
    assert asked <= set(exported)


def test_every_label_that_is_matched_exists(expressions: list[str], exported: dict[str, set[str]]) -> None:
    found = list(matchers(expressions))
    assert found
    assert [(metric, label) for metric, label, _ in found if label not in exported[metric]] == []


def test_every_label_that_is_grouped_by_exists(expressions: list[str], exported: dict[str, set[str]]) -> None:
    for expression in expressions:
        metrics = {metric for metric, _ in METRIC.findall(expression)}
        if not metrics:  # only recorded figures: their labels are checked where they are recorded
            continue
        labels = set().union(*(exported[metric] for metric in metrics))
        grouped = {label.strip() for group in GROUPING.findall(expression) for label in group.split(",")}
        assert grouped <= labels, expression


def test_every_status_code_that_is_asked_for_is_one_of_grpc(expressions: list[str]) -> None:
    codes = {code for _, label, value in matchers(expressions) if label == "code" for code in value.split("|")}
    assert "OK" in codes
    assert codes <= {code.name for code in grpc.StatusCode}


def test_every_reason_that_is_asked_for_is_one_that_a_trace_can_have(expressions: list[str]) -> None:
    reasons = {value for metric, label, value in matchers(expressions) if (metric, label) == _DEGRADED}
    assert reasons
    assert reasons <= {reason.value for reason in Reason}


def test_every_refusal_that_is_asked_for_is_one_that_a_request_can_meet(rules: list[dict[str, str]]) -> None:
    asked = [value for rule in rules for label, value in MATCHER.findall(rule["expr"]) if label == "reason"]
    reasons = {reason for value in asked for reason in value.split("|")} - {reason.value for reason in Reason}
    quotas = {f.name for f in fields(Quota)}
    assert len(reasons) > 3
    assert reasons <= {"overloaded", "unavailable", *quotas, *Refusal}


def test_every_recorded_figure_that_is_used_is_recorded_before(rules: list[dict[str, str]]) -> None:
    recorded: set[str] = set()
    for rule in rules:
        assert set(RECORDED.findall(rule["expr"])) <= recorded, rule
        recorded.add(rule.get("record", ""))


def test_every_alert_says_what_happened_and_what_it_means(rules: list[dict[str, str]]) -> None:
    alerts = [yaml.safe_load(json.dumps(rule)) for rule in rules if "alert" in rule]
    assert alerts
    for alert in alerts:
        assert alert["labels"]["severity"] in {"critical", "warning"}
        assert set(alert["annotations"]) == {"summary", "description"}
