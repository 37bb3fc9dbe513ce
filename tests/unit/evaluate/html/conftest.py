"""A small evaluation of two cascades, with texts that try to get out of the page."""

import pytest

from cascade.evaluate.collection import Collection
from cascade.evaluate.report import Report, measure
from cascade.evaluate.runs import Observation, Stage, StageCost, rebuild
from cascade.evaluate.through_server import Runs
from cascade.types import Document

HOSTILE = '</script><script>alert("out")</script><img src=x onerror=alert(1)> & "more"'
STAGES = (Stage("bm25", "bm25", 20), Stage("dense", "dense", 20), Stage("fuse", "rrf", 20), Stage("tier", "joint", 5))

Judged = tuple[Report, Runs]


@pytest.fixture(scope="session")
def collection() -> Collection:
    """Three queries over fifteen documents; what d0 says is hostile, and d7 answers q1 and q2."""
    documents = [Document(f"d{n}", f"text {n} " + "and so on " * n * 5) for n in range(15)]
    documents[0] = Document("d0", HOSTILE, HOSTILE)
    return Collection(
        name=HOSTILE,
        split="test",
        documents=tuple(documents),
        queries={"q0": HOSTILE, "q1": "one", "q2": "two"},
        qrels={"q0": {"d0": 2, "d1": 0}, "q1": {"d7": 1, "d14": 1}, "q2": {"d7": 1}},
        excluded={},
    )


@pytest.fixture(scope="session")
def judged(collection: Collection) -> tuple[Judged, Judged]:
    """A cascade without and one with a tier, which puts the answer first; q2 ran out of time before it."""
    return _judged(collection, "plain", STAGES[:3], None), _judged(collection, "tiered & <b>", STAGES, 0.36)


def _judged(collection: Collection, cascade: str, stages: tuple[Stage, ...], price: float | None) -> Judged:
    order = {document.doc_id: rank for rank, document in enumerate(collection.documents, start=1)}
    first = {"bm25": StageCost("completed", 15, 0, 0.001), "dense": StageCost("completed", 15, 8, 0.01, 15)}
    fused = first | {"fuse": StageCost("completed", 15, 0, 0.0001)}
    done = fused | {"tier": StageCost("completed", 5, 600, 0.5, 5)}
    late = fused | {"tier": StageCost("skipped", 5, 0, 0.0)}
    ranks = {stage.name: order for stage in stages[:3]}
    observations = {
        query_id: Observation(
            ranks if query_id == "q2" else ranks | {"tier": {"d7": 1, "d0": 2}},
            late if query_id == "q2" else done,
            degraded=query_id == "q2" and len(stages) == 4,
        )
        for query_id in collection.queries
    }
    runs = rebuild(stages, observations)
    figures = measure(collection, stages, runs, observations, seed=0, price_per_hour=price)
    report = Report(
        collection=collection.name,
        split="test",
        queries=3,
        cascade=cascade,
        config_hash="0123456789abcdef",
        index="",
        top_k=15,
        degraded_queries=sum(o.degraded for o in observations.values()),
        unanswered_queries=0,
        stages=figures,
        notes=(HOSTILE,),
        query_ids=tuple(collection.qrels),
        compared_by="nDCG@10",
        price_per_hour=price,
        money=None if price is None else sum(f.money or 0.0 for f in figures),
    )
    return report, runs
