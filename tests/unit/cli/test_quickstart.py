"""`cascade quickstart` indexes, serves, answers and evaluates in one go, and can be left serving."""

import asyncio
import contextlib
import io
import json
import re
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import structlog
from rich.console import Console

from cascade.cli.quickstart import demonstrate
from cascade.errors import NotFoundError
from cascade.evaluate.collection import Collection
from cascade.types import Document
from cascade_client import AsyncClient
from cascade_server.settings import Settings

QUESTIONS = ("where do rivers run", "what do engines burn")
TEXTS = {
    "river": "Rivers run into the sea.\nThey rarely run uphill.",
    "engine": "Engines burn fuel.",
    "violin": "Violins have four strings.",
    "desert": "Deserts have [little] rain, rivers and engines.",
}
CASCADE = """
retrieve:
  - {kind: bm25, depth: 20}
tiers:
  - {kind: identity, depth: 5}
"""


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """Log lines go nowhere, and where a command sends them ends with the test."""
    structlog.configure(logger_factory=structlog.ReturnLoggerFactory())
    yield
    structlog.reset_defaults()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    (tmp_path / "cascades" / "default").mkdir(parents=True)
    (tmp_path / "cascades" / "default" / "plain.yaml").write_text(CASCADE, encoding="utf-8")
    # Files of the presets' names take their place, so that no model is loaded.
    for preset in ("fast", "quality", "rerank"):
        (tmp_path / "cascades" / "default" / f"{preset}.yaml").write_text(CASCADE, encoding="utf-8")
    return Settings(
        host="127.0.0.1", port=0, metrics_port=0, data_dir=tmp_path / "data", cascades_dir=tmp_path / "cascades"
    )


def small() -> Collection:
    return Collection(
        name="python-0.0",
        split="test",
        documents=tuple(Document(doc_id, text, title=doc_id.title()) for doc_id, text in TEXTS.items()),
        queries={"q1": QUESTIONS[0], "q2": QUESTIONS[1]},
        qrels={"q1": {"river": 2, "desert": 1}, "q2": {"engine": 2}},
        excluded={},
    )


def shown_by(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


@pytest.fixture
def console() -> Console:
    return Console(file=io.StringIO(), width=100)


async def test_the_json_has_the_promised_shape(
    settings: Settings, console: Console, capsys: pytest.CaptureFixture[str]
) -> None:
    await demonstrate(settings, "plain", small, QUESTIONS, keep=False, as_json=True, console=console)
    shown = json.loads(capsys.readouterr().out)
    assert set(shown) == {"index", "queries", "eval"}
    assert shown["index"]["documents"] == 4
    assert shown["index"]["version"] >= 1
    assert [asked["query"] for asked in shown["queries"]] == list(QUESTIONS)
    for asked, best in zip(shown["queries"], ("river", "engine"), strict=True):
        assert asked["degraded"] is False
        assert asked["results"][0]["doc_id"] == best
        assert [stage["stage"] for stage in asked["trace"]] == ["bm25", "fuse", "identity"]
        for stage in asked["trace"]:
            assert stage["status"] == "completed"
            assert {"candidates_in", "candidates_out", "run_seconds"} <= set(stage)
    assert [stage["stage"] for stage in shown["eval"]["stages"]] == ["bm25", "fuse", "identity"]
    for stage in shown["eval"]["stages"]:
        assert stage["measures"]["nDCG@10"] == {"mean": 1.0, "low": 1.0, "high": 1.0}


async def test_a_person_sees_answers_the_way_they_took_and_the_evaluation(settings: Settings, console: Console) -> None:
    await demonstrate(settings, "plain", small, QUESTIONS, keep=False, as_json=False, console=console)
    shown = shown_by(console)
    assert "1. River  Rivers run into the sea." in shown
    assert "They rarely run uphill." not in shown
    assert "2. Desert  Deserts have [little] rain" in shown
    row = next(line.split() for line in shown.splitlines() if line.strip().startswith("bm25"))
    assert row[:2] == ["bm25", "completed"]
    assert row[-2:] == ["1", "2"]
    assert "python-0.0 (test), 2 queries, cascade 'plain'" in shown


async def test_it_is_left_serving_and_says_how_to_call_it(settings: Settings, console: Console) -> None:
    left = asyncio.create_task(
        demonstrate(settings, "plain", small, QUESTIONS, keep=True, as_json=False, console=console)
    )
    try:
        while "metrics:" not in shown_by(console):
            assert not left.done(), left.exception()
            await asyncio.sleep(0.05)
        called = re.search(r'cascade rank "(.*)" --index (\S+) --cascade (\S+) --target (\S+)', shown_by(console))
        assert called is not None
        question, index, cascade, target = called.groups()
        async with AsyncClient(target) as client:
            ranked = await client.rank(question, index=index, cascade=cascade)
        assert ranked.results[0].doc_id == "river"
        url = re.findall(r"metrics: (\S+)", shown_by(console))[0]
        metrics = await asyncio.to_thread(lambda: urllib.request.urlopen(url).read().decode())
        assert "cascade_requests_total" in metrics
    finally:
        left.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await left


async def test_an_unknown_cascade_is_refused_before_anything_is_read(settings: Settings, console: Console) -> None:
    def never() -> Collection:
        raise AssertionError("read")

    with pytest.raises(NotFoundError, match="known: fast, plain, quality"):
        await demonstrate(settings, "slow", never, QUESTIONS, keep=False, as_json=False, console=console)


async def test_a_second_run_deletes_what_is_no_longer_documented_and_encodes_nothing(
    settings: Settings, console: Console, capsys: pytest.CaptureFixture[str]
) -> None:
    def fewer() -> Collection:
        return replace(small(), documents=small().documents[:3], qrels={"q1": {"river": 2}, "q2": {"engine": 2}})

    held = []
    for read in (small, fewer, fewer):
        await demonstrate(settings, "plain", read, QUESTIONS[:1], keep=False, as_json=True, console=console)
        held.append(json.loads(capsys.readouterr().out)["index"])
    assert [index["documents"] for index in held] == [4, 3, 3]
    assert held[0]["version"] < held[1]["version"] == held[2]["version"]
