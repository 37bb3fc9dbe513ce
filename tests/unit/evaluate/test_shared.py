"""Two cascades that begin alike run what they have in common once, and show what each would have shown alone."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from cascade.config import CascadeConfig, parse
from cascade.evaluate.candidates import with_run
from cascade.evaluate.collection import Candidates, Collection
from cascade.evaluate.compare import comparison_json, side_by_side
from cascade.evaluate.judge import Verdict, here
from cascade.evaluate.shared import share
from cascade.evaluate.through_server import Setup
from cascade.types import Document
from cascade_server.settings import Settings

COLLECTION = Collection(
    name="fruit",
    split="test",
    documents=tuple(Document(f"d{n:02}", "apple " * n + "pear " * (20 - n)) for n in range(1, 19)),
    queries={"q1": "apple", "q2": "pear", "q3": "nothing at all"},
    qrels={"q1": {"d17": 1, "d18": 0}, "q2": {"d02": 1}, "q3": {"d01": 1}},
    excluded={},
)
SETUP = Setup(cascade="", index="fruit", price_per_hour=1.0)
COMMON = "{kind: identity, name: keep, depth: 9}"


def cascade(*tiers: str, **changes: object) -> CascadeConfig:
    text = f"{{retrieve: [{{kind: bm25, depth: 12}}], fuse: {{kind: rrf, depth: 10}}, tiers: [{', '.join(tiers)}]}}"
    return parse(text, "test").model_copy(update=changes)


def tier(name: str, depth: int, more: str = "") -> str:
    return f"{{kind: identity, name: {name}, depth: {depth}{more}}}"


async def judged(tmp_path: Path, configs: Mapping[str, CascadeConfig], collection: Collection = COLLECTION) -> Verdict:
    settings = Settings(host="127.0.0.1", port=0, metrics_port=None, data_dir=tmp_path)
    setup = SETUP if collection.candidates is None else replace(SETUP, index="")
    return await here(collection, setup, configs, settings, "default")


async def check_as_alone(
    tmp_path: Path, first: CascadeConfig, second: CascadeConfig, collection: Collection = COLLECTION
) -> Verdict:
    """What two cascades show together is what each shows alone, and what they share has one duration."""
    both = await judged(tmp_path, {"first": first, "second": second}, collection)
    assert both.shared
    for name, config, (report, runs) in zip(("first", "second"), (first, second), both.judged, strict=True):
        alone, runs_alone = (await judged(tmp_path, {name: config}, collection)).judged[0]
        assert runs == runs_alone
        assert (report.cascade, report.config_hash) == (name, config.config_hash)
        assert [f.stage for f in report.stages] == [f.stage for f in alone.stages]
        assert [(f.status, f.candidates, f.values) for f in report.stages] == [
            (f.status, f.candidates, f.values) for f in alone.stages
        ]
    by_name = [{f.stage.name: f.seconds for f in report.stages} for report, _ in both.judged]
    assert [by_name[0][name] for name in both.shared] == [by_name[1][name] for name in both.shared]
    return both


async def test_a_cascade_that_another_continues_is_not_asked_at_all(tmp_path: Path) -> None:
    longer = cascade(COMMON, tier("last", 4))
    assert (await check_as_alone(tmp_path, cascade(COMMON), longer)).shared == ("bm25", "fuse", "keep")
    assert (await check_as_alone(tmp_path, longer, cascade())).shared == ("bm25", "fuse")


async def test_own_tiers_go_on_from_the_ranking_that_is_shared(tmp_path: Path) -> None:
    first = cascade(COMMON, tier("given", 6), tier("last", 3))
    second = cascade(COMMON, tier("given", 5), tier("last", 2))
    assert (await check_as_alone(tmp_path, first, second)).shared == ("bm25", "fuse", "keep")


async def test_a_run_is_reranked_by_both(tmp_path: Path) -> None:
    run = Candidates("run", {"q1": ("d03", "d17", "d18"), "q2": ("d17", "d02")})
    given = with_run(COLLECTION, run)
    await check_as_alone(tmp_path, cascade(COMMON, tier("a", 2)), cascade(COMMON, tier("b", 3)), given)


async def test_cascades_with_nothing_in_common_run_one_after_the_other(tmp_path: Path) -> None:
    other = parse("{retrieve: [{kind: bm25, depth: 3}], fuse: {kind: rrf, depth: 2}}", "test")
    verdict = await judged(tmp_path, {"first": cascade(), "second": other})
    assert verdict.shared == ()
    assert [len(runs["bm25"]["q1"]) for _, runs in verdict.judged] == [12, 3]


@pytest.mark.parametrize(
    ("first", "second", "own_candidates", "names"),
    [
        ((tier("a", 9),), (tier("b", 9),), False, ("bm25", "fuse")),
        ((tier("a", 9),), (tier("b", 9, ", blend: {weight: 0.3}"),), False, ("bm25", "fuse")),
        ((tier("a", 9),), (tier("b", 9, ", blend: {weight: 0.3, method: z_score}"),), False, None),
        ((COMMON, tier("a", 9)), (COMMON, tier("b", 9, ", blend: {method: min_max}")), False, ("bm25", "fuse")),
        ((tier("a", 9),), ("{kind: cross_encoder, depth: 9, until: {}}",), False, None),
        ((tier("a", 9),), ("{kind: late_interaction, depth: 9}",), False, None),
        ((tier("a", 9),), ("{kind: late_interaction, depth: 9}",), True, ("bm25", "fuse")),
        ((tier("a", 9),), (), False, ("bm25", "fuse")),
        ((COMMON,), (COMMON, "{kind: late_interaction, depth: 9, until: {}}"), False, ("bm25", "fuse", "keep")),
    ],
)
def test_only_what_an_order_alone_can_continue_is_shared(
    first: tuple[str, ...], second: tuple[str, ...], own_candidates: bool, names: tuple[str, ...] | None
) -> None:
    found = share(cascade(*first), cascade(*second), own_candidates=own_candidates)
    assert (found and found.names) == names


def test_a_cascade_with_a_budget_runs_whole() -> None:
    assert share(cascade(budget_ms=50.0), cascade(), own_candidates=False) is None
    assert share(cascade(), cascade(budget_ms=50.0), own_candidates=False) is None


async def test_cascades_are_compared_query_by_query(tmp_path: Path) -> None:
    """The second cascade drops what the first one found for q1, and both find nothing for q3."""
    shallow = parse("{retrieve: [{kind: bm25, depth: 1}], fuse: {kind: rrf, depth: 1}}", "test")
    verdict = await judged(tmp_path, {"deep": cascade(), "shallow": shallow})
    (deep, _), (only, _) = verdict.judged
    side = side_by_side(COLLECTION, deep, only, seed=0)
    assert (side.wins, side.ties, side.losses) == (0, 1, 2)
    assert (side.against.stage, side.against.delta) == ("deep", pytest.approx(side.delta.mean))
    assert [(m.query_id, m.text, m.second) for m in side.moved] == [("q1", "apple", 0.0), ("q2", "pear", 0.0)]
    assert side.moved[0].first > 0.5
    found = comparison_json(side)
    assert (found["collection"], found["queries"], found["compared_by"]) == ("fruit", 3, "nDCG@10")
    assert [found[which]["cascade"] for which in ("first", "second")] == ["deep", "shallow"]
    seconds = sum(stage["seconds"] for stage in found["reports"][0]["stages"])
    assert found["first"]["seconds"] == pytest.approx(seconds)
    assert found["first"]["money"] == pytest.approx(seconds / 3600)


async def test_reports_on_different_queries_are_not_compared(tmp_path: Path) -> None:
    report = (await judged(tmp_path, {"deep": cascade()})).judged[0][0]
    with pytest.raises(ValueError, match="different queries"):
        side_by_side(COLLECTION, report, replace(report, query_ids=("q1",)), seed=0)
