"""The listwise tier: documents a second through one language model, read once together, in windows, or one by one."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cascade.bench.machine import describe
from cascade.bench.measure import Contender, Goal, interleave
from cascade.bench.options import Options
from cascade.bench.result import Result
from cascade.bench.texts import Work, texts
from cascade.bench.turn import Turn

if TYPE_CHECKING:
    from cascade.inference.model import ServedModel
    from cascade.stages import Reranker, Scores

JOINT = "embedded:listwise"
BASE = "embedded:smollm2-135m-instruct"
WINDOWS = Goal(floor=10, aim=30)
POINTWISE = Goal(floor=1.5, aim=3)

_OURS = "joint"
_RANKGPT = "RankGPT windows of 20 by 10"
_LIKELIHOOD = "pointwise likelihood"
_EXACT = "joint, torch-bf16"
_MOST_TOKENS = 100
"""Of a document, for all: what RankGPT's windows have room for, and what the joint model was trained on."""
_DEPTH = 30
"""Two windows: what stands last is read once and what climbs twice, which favours windows over longer rankings."""
_JUDGED = "wikiqa"
_JUDGED_QUERIES, _JUDGED_DEPTH = 16, 20
_JUDGED_SHARE = 0.2
"""Of the seconds that there are, for quality; two queries are judged in any case."""


def bench(options: Options, tell: Callable[[str], None]) -> Result:
    """`joint` against RankGPT's windows and pointwise likelihood, of the same language model in the same engine."""
    depth = 4 if options.quick else _DEPTH
    source = texts(options)
    turn = Turn(source.work(1, depth, options.seed))
    tell(f"loading {JOINT} and {BASE}; texts of {source.source}")
    tiers, models = _tiers(options)
    number = version("cascade-ranking")
    with asyncio.Runner() as runner:
        score = {name: lambda work, tier=tier: runner.run(_ask(tier, work)).values for name, tier in tiers.items()}

        def contender(name: str, goal: Goal | None = None) -> Contender:
            model = models[name]
            return Contender(name, number, lambda: score[name](turn.work), f"{model.reference}, {model.backend}", goal)

        measured = interleave(
            contender(_OURS),
            [contender(_RANKGPT, WINDOWS), contender(_LIKELIHOOD, POINTWISE)],
            also=[contender(_EXACT)],
            units=depth,
            unit="documents/s",
            rounds=options.rounds,
            cases=turn.cases,
            seconds=None if options.seconds is None else options.seconds * (1 - _JUDGED_SHARE),
            tell=tell,
        )
        quality = _quality(options, score, turn.works, tell)
        quality["tokens read"] = {name: runner.run(_ask(tier, turn.work)).usage.tokens for name, tier in tiers.items()}
        for model in models.values():
            runner.run(model.aclose())
    quality["texts"] = {"source": source.source, "queries": 1, "documents": depth, "most_tokens": _MOST_TOKENS}
    notes = [
        "RankGPT's windows (Sun et al., 2023) are those that rank-llm reads too; here this engine reads them, with the "
        "same language model: whole prompts for every window, and an order that is written token by token"
    ]
    return Result.of(
        "listwise", measured, quality=quality, machine=describe(options, "transformers", "numba"), notes=notes
    )


def _tiers(options: Options) -> tuple[dict[str, Reranker], dict[str, ServedModel]]:
    """Each way of asking, by name, and the model that it asks, loaded."""
    from cascade.rerank.listwise.joint import JointReranker
    from cascade.rerank.listwise.joint_model import JointModel
    from cascade.rerank.listwise.language_model import LanguageModel
    from cascade.rerank.listwise.likelihood import LikelihoodReranker
    from cascade.rerank.listwise.likelihood_model import LikelihoodModel
    from cascade.rerank.listwise.list_prompt import ListPrompt
    from cascade.rerank.listwise.order_reader import OrderReader
    from cascade.rerank.listwise.permutation import PermutationReranker

    window = 20
    on: dict[str, Any] = {"device": "cpu", "threads": options.threads}
    joint, exact = JointModel(JOINT, **on), JointModel(JOINT, backend="torch-bf16", **on)
    likelihood, writing = LikelihoodModel(BASE, **on), LanguageModel(BASE, **on)
    for model in (joint, exact, likelihood, writing):
        model.ensure_loaded()
    prompt = ListPrompt("permutation-v1", [str(place) for place in range(1, window + 1)])
    reader = OrderReader(writing, "permutation", prompt, most=window, constrained=True, plain=True)
    return {
        _OURS: JointReranker(_OURS, joint, max_doc_tokens=_MOST_TOKENS),
        _EXACT: JointReranker(_EXACT, exact, max_doc_tokens=_MOST_TOKENS),
        _RANKGPT: PermutationReranker(_RANKGPT, reader, window=window, stride=10, max_doc_tokens=_MOST_TOKENS),
        _LIKELIHOOD: LikelihoodReranker(_LIKELIHOOD, likelihood, max_doc_tokens=_MOST_TOKENS),
    }, {_OURS: joint, _EXACT: exact, _RANKGPT: writing, _LIKELIHOOD: likelihood}


async def _ask(tier: Reranker, work: Work) -> Scores:
    from cascade.budget import Budget
    from cascade.types import Candidate, Query

    given = [Candidate(str(i), 0.0, i + 1, "bench", text) for i, text in enumerate(work.passages)]
    return await tier.score(Query(work.query), given, budget=Budget())


Score = Callable[[Work], Sequence[float]]


def _quality(
    options: Options, score: Mapping[str, Score], works: Sequence[Work], tell: Callable[[str], None]
) -> dict[str, Any]:
    """Kendall's tau with pointwise likelihood on these texts, and nDCG@10 of each where there are judgments."""
    from cascade.bench.judged import tau

    tell("comparing orders")
    all_scores = {name: [one(work) for work in works] for name, one in score.items()}
    theirs = all_scores.pop(_LIKELIHOOD)
    found: dict[str, Any] = {
        f"kendall_tau with {_LIKELIHOOD}": {name: tau(own, theirs) for name, own in all_scores.items()}
    }
    if options.collections is not None and (options.collections / _JUDGED).is_dir():
        tell(f"measuring nDCG@10 on {_JUDGED}")
        found["nDCG@10"] = _ndcg(options, options.collections / _JUDGED, score)
    return found


def _ndcg(options: Options, folder: Path, score: Mapping[str, Score]) -> dict[str, Any]:
    """Of each way, with 95 % intervals, over as many queries as there is time for."""
    from cascade.evaluate.candidates import judged_documents, with_judged
    from cascade.evaluate.collection import read
    from cascade.evaluate.measures import score as measure
    from cascade.evaluate.significance import interval

    collection = with_judged(read(folder, "test", judged_documents), options.seed)
    collection = collection.sample(1 if options.quick else _JUDGED_QUERIES, options.seed)
    assert collection.candidates is not None
    passages = {document.doc_id: document.passage for document in collection.documents}
    runs: dict[str, dict[str, list[str]]] = {name: {} for name in score}
    begin = time.monotonic()
    for query_id, query in collection.queries.items():
        ids = list(collection.candidates.by_query.get(query_id, ()))[:_JUDGED_DEPTH]
        late = options.seconds is not None and time.monotonic() - begin > options.seconds * _JUDGED_SHARE
        if not ids or (late and len(runs[_OURS]) >= 2):
            continue
        for name, one in score.items():
            scores = one(Work(query, tuple(passages[i] for i in ids)))
            runs[name][query_id] = [i for _, i in sorted(zip(np.negative(scores), ids, strict=True))]
    judged = {query_id: collection.qrels[query_id] for query_id in runs[_OURS]}
    found: dict[str, Any] = {"collection": f"{_JUDGED} test", "queries": len(judged), "documents": _JUDGED_DEPTH}
    for name, run in runs.items():
        mean = interval(measure(run, judged, ("nDCG@10",))["nDCG@10"], seed=options.seed)
        found[name] = {"mean": mean.mean, "low": mean.low, "high": mean.high}
    return found
