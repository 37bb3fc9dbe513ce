"""A generated BEIR folder, so that training runs in seconds."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

_TOPICS = ("tea", "rain", "iron", "wheat", "glass", "salt", "wool", "coal", "silk", "corn", "lead", "milk")
_WORDS = ("what", "is", "made", "of", "the", "about", "some", "facts", "and", "more")


def _write(path: Path, rows: list[dict[str, object]]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


@pytest.fixture
def beir_folder(tmp_path: Path) -> Path:
    """Twelve topics with two documents each; a question names its topic, and the topic's first document answers."""
    folder = tmp_path / "tiny"
    (folder / "qrels").mkdir(parents=True)
    draw = random.Random(1)
    documents, queries, triples, qrels = [], [], [], ["query-id\tcorpus-id\tscore"]
    for topic in _TOPICS:
        filler = " ".join(draw.choices(_WORDS, k=6))
        documents.append({"_id": f"{topic}-0", "title": topic, "text": f"facts about {topic} {filler}"})
        documents.append({"_id": f"{topic}-1", "title": "", "text": f"more {filler}"})
        queries.append({"_id": f"q-{topic}", "text": f"what is {topic}"})
        others = draw.sample([other for other in _TOPICS if other != topic], 3)
        triples.append(
            {
                "query_id": f"q-{topic}",
                "query": f"what is {topic}",
                "positive_ids": [f"{topic}-0"],
                "negative_ids": [f"{other}-1" for other in others],
            }
        )
        qrels.append(f"q-{topic}\t{topic}-0\t1")
    _write(folder / "corpus.jsonl", documents)
    _write(folder / "queries.jsonl", queries)
    _write(folder / "triples.train.jsonl", triples)
    (folder / "qrels" / "test.tsv").write_text("\n".join(qrels) + "\n", encoding="utf-8")
    return folder
