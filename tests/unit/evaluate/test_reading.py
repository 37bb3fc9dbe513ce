"""The reading test is what it says: the answer shares few words with the question, the near miss repeats them."""

import json
import re
from collections import Counter
from dataclasses import replace
from importlib import resources
from pathlib import Path

import pytest

from cascade.config import parse
from cascade.evaluate import collection as collections
from cascade.evaluate.reading import read
from cascade.evaluate.serving import serving
from cascade.evaluate.through_server import Setup, evaluate
from cascade.index.tokens import tokenize, tokenize_query
from cascade_server.settings import Settings

TRIPLES = [
    json.loads(line)
    for line in resources.files("cascade.evaluate").joinpath("reading.jsonl").read_text(encoding="utf-8").splitlines()
]
TEXTS = ("query", "answer", "near_miss")


def shared(triple: dict[str, str], text: str) -> float:
    """The share of the question's words, function words apart, that the text has too."""
    asked = set(tokenize_query(triple["query"]))
    return len(asked.intersection(tokenize(triple[text]))) / len(asked)


def words(text: str) -> int:
    return len(text.split())


def test_there_are_enough_triples_over_many_subjects() -> None:
    subjects = Counter(triple["subject"] for triple in TRIPLES)
    assert len(TRIPLES) >= 130
    assert len(subjects) >= 20
    assert max(subjects.values()) <= len(TRIPLES) / 10


def test_the_first_triple_is_the_one_that_the_project_began_with() -> None:
    assert [TRIPLES[0][name] for name in TEXTS] == [
        "How to prevent heart attacks?",
        "Regular exercise and diet reduce heart attack risk.",
        "Heart attacks kill millions yearly.",
    ]


def test_every_triple_is_complete_and_says_something_of_its_own() -> None:
    assert all(set(triple) == {"id", "subject", *TEXTS} for triple in TRIPLES)
    assert all(value == value.strip() != "" for triple in TRIPLES for value in triple.values())
    assert len({triple["id"] for triple in TRIPLES}) == len(TRIPLES)
    written = [" ".join(tokenize(triple[name])) for triple in TRIPLES for name in TEXTS]
    assert len(set(written)) == len(written)


def test_an_answer_shares_few_words_with_its_question_and_fewer_than_the_near_miss() -> None:
    assert [t["query"] for t in TRIPLES[1:] if shared(t, "answer") >= shared(t, "near_miss")] == []
    assert [t["query"] for t in TRIPLES[1:] if shared(t, "answer") > 0.5] == []
    assert sum(shared(t, "answer") for t in TRIPLES) / len(TRIPLES) < 0.1
    assert sum(shared(t, "near_miss") for t in TRIPLES) / len(TRIPLES) > 0.7


@pytest.mark.parametrize("text", ["answer", "near_miss"])
def test_texts_are_a_sentence_or_two(text: str) -> None:
    assert [t["query"] for t in TRIPLES[1:] if not 8 <= words(t[text]) <= 40] == []


def test_length_does_not_give_the_answer_away() -> None:
    longer = sum(words(t["answer"]) > words(t["near_miss"]) for t in TRIPLES)
    shorter = sum(words(t["answer"]) < words(t["near_miss"]) for t in TRIPLES)
    assert abs(longer - shorter) < len(TRIPLES) / 4
    means = [sum(words(t[name]) for t in TRIPLES) / len(TRIPLES) for name in ("answer", "near_miss")]
    assert abs(means[0] - means[1]) < 2


def test_no_phrase_is_repeated_until_it_gives_a_text_away() -> None:
    for text in ("answer", "near_miss"):
        begins = Counter(" ".join(re.findall(r"\w+", t[text].lower())[:3]) for t in TRIPLES)
        assert begins.most_common(1)[0][1] <= len(TRIPLES) / 40


def test_questions_are_put_in_many_ways() -> None:
    firsts = Counter(triple["query"].lower().split()[0] for triple in TRIPLES)
    assert {"how", "why", "what", "who", "when", "is", "can"} <= set(firsts)
    assert len(firsts) >= 12
    assert sum(not triple["query"].endswith("?") for triple in TRIPLES) >= len(TRIPLES) / 6  # as typed into a box


def test_a_tie_is_wrong_whether_it_falls_to_the_first_id_or_to_the_first_document() -> None:
    collection = read()
    assert collection.candidates is not None
    assert collection.measures == ("right",)
    texts = {document.doc_id: document.text for document in collection.documents}
    for triple in TRIPLES:
        given = collection.candidates.by_query[triple["id"]]
        assert given == tuple(sorted(given))
        assert [texts[doc_id] for doc_id in given] == [triple["near_miss"], triple["answer"]]
        assert [collection.qrels[triple["id"]][doc_id] for doc_id in given] == [0, 1]


async def test_words_alone_read_nothing_and_a_tie_counts_as_wrong(tmp_path: Path) -> None:
    settings = Settings(host="127.0.0.1", port=0, metrics_port=None, data_dir=tmp_path)
    words = parse("{retrieve: [{kind: bm25, depth: 2}], fuse: {kind: rrf, depth: 2}, tiers: []}", "test")
    asked = collections.read("reading", "test").sample(10, seed=0)
    swapped = {q: {doc_id: 1 - grade for doc_id, grade in grades.items()} for q, grades in asked.qrels.items()}
    async with serving(settings, "default", only={"words": words}) as served:

        async def right(**changes: object) -> list[float]:
            collection = replace(asked, **changes)  # type: ignore[arg-type]  # fields of a collection
            report, _ = await evaluate(served.client, collection, Setup("words", ""), answered=lambda: None)
            return [stage.measures["right"].mean for stage in report.stages]

        assert await right() == [0.0, 0.0]
        assert await right(qrels=swapped) == [1.0, 1.0]
        assert await right(queries=dict.fromkeys(asked.queries, "zzz")) == [0.0, 0.0]
