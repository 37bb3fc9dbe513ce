"""The reading test: does a stage put a passage that answers before one that only repeats the question's words?

We wrote the triples for this. Semantic is not relevant: a near miss is about the same thing, in the same words, and
answers nothing. Nothing is ever trained on them.
"""

from __future__ import annotations

import json
from importlib import resources

from cascade.evaluate.collection import Candidates, Collection
from cascade.types import Document

NAME = "reading"
MEASURE = "right"


def read() -> Collection:
    """Each triple as a query with two candidates of its own, measured by the share that have the answer first.

    The near miss comes first in a request, and its id sorts first: a tie, which falls to one of the two, is wrong.
    """
    lines = resources.files(__package__).joinpath("reading.jsonl").read_text(encoding="utf-8").splitlines()
    triples = [json.loads(line) for line in lines]
    both = {t["id"]: (Document(f"{t['id']}-1", t["near_miss"]), Document(f"{t['id']}-2", t["answer"])) for t in triples}
    return Collection(
        name=NAME,
        split="test",
        documents=tuple(document for pair in both.values() for document in pair),
        queries={t["id"]: t["query"] for t in triples},
        qrels={q: {near_miss.doc_id: 0, answer.doc_id: 1} for q, (near_miss, answer) in both.items()},
        excluded={},
        candidates=Candidates("judged", {q: (first.doc_id, second.doc_id) for q, (first, second) in both.items()}),
        measures=(MEASURE,),
    )
