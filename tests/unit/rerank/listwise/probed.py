"""A whole cascade of one tier, asked the question that models are tested with."""

from __future__ import annotations

from collections.abc import Mapping

from cascade.answer import Answer
from cascade.budget import Budget
from cascade.build import Models, bind_documents, build_cascade
from cascade.config import parse
from cascade.inference.scored import PROBE, PROBE_ANSWER, PROBE_OTHER
from cascade.types import Document, Query


async def probed(tier: str) -> tuple[Answer, Mapping[str, bool]]:
    """The answer over an unrelated document "a" and the answering "b", and whether each kind of model was ready.

    `tier` is the YAML of a tier.
    """
    config = parse(f"{{retrieve: [{{kind: given}}], tiers: [{tier}]}}", "cascade")
    models = Models(device="cpu")
    cascade = build_cascade("test", config, models)
    await cascade.warm_up()
    ready = {status.kind: status.ready for status in models.status()}
    documents = [Document("a", PROBE_OTHER), Document("b", PROBE_ANSWER)]
    found = await cascade.rank(Query(PROBE), bind_documents(config, documents, models), top_k=2, budget=Budget())
    await models.aclose()
    return found, ready
