"""The page's data say of every query what each stage made of it, and show a document's text once."""

import json

from cascade.evaluate.collection import Collection
from cascade.evaluate.html.view import SNIPPET, TOP, view
from cascade.evaluate.report import Report
from cascade.evaluate.through_server import Runs

Judged = tuple[Report, Runs]


def test_every_query_has_each_stages_value_and_first_results_with_grades(
    collection: Collection, judged: tuple[Judged, Judged]
) -> None:
    found = json.loads(json.dumps(view(collection, judged[1:])))
    assert [stage["label"] for stage in found["stages"]] == ["bm25", "dense", "fuse", "tier"]
    q0, q1, q2 = found["queries"]
    ids = [document["id"] for document in found["documents"]]
    assert [(ids[place], grade) for place, grade in q0["stages"][0]["top"][:3]] == [("d0", 2), ("d1", 0), ("d2", None)]
    assert [(ids[place], grade) for place, grade in q1["stages"][3]["top"][:2]] == [("d7", 1), ("d0", None)]
    assert all(len(stage["top"]) == TOP for query in (q0, q1, q2) for stage in query["stages"])
    assert (q1["relevant"], q1["stages"][0]["further"], q2["stages"][0]["further"]) == (2, [15], [])
    assert q2["values"][3] == q2["values"][2] < q1["values"][3] + 1
    assert q0["values"][:3] == [1.0, 1.0, 1.0]
    assert q0["values"][3] < 1.0 < 2 * q1["values"][3]


def test_a_documents_text_is_there_once_and_cut(collection: Collection, judged: tuple[Judged, Judged]) -> None:
    documents = view(collection, judged)["documents"]
    assert len({document["id"] for document in documents}) == len(documents)
    assert max(len(document["text"]) for document in documents) <= SNIPPET + 2
    assert any(document["text"].endswith(" …") for document in documents)


def test_two_cascades_are_told_apart_and_priced_only_if_both_are(
    collection: Collection, judged: tuple[Judged, Judged]
) -> None:
    found = view(collection, judged)
    assert [(stage["label"], stage["cascade"]) for stage in found["stages"]][2:4] == [
        ("plain: fuse", 0),
        ("tiered & <b>: bm25", 1),
    ]
    assert all(len(query["values"]) == len(query["stages"]) == 7 for query in found["queries"])
    assert set(found["fronts"]) == {"seconds", "tokens"}
    assert set(view(collection, judged[1:])["fronts"]) == {"seconds", "tokens", "money"}
